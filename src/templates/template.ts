import * as v from 'valibot';

const decision = v.picklist(['allow', 'deny'], 'must be allow or deny: nobody is there to be asked');

const text = (most: number) => v.pipe(v.string('must be a string'), v.nonEmpty('must not be empty'), v.maxLength(most));

const templateSchema = v.strictObject({
  /** What the agent is for, in a sentence. */
  description: text(400),
  /** `provider/model`, for a request that names none. */
  model: v.optional(
    v.pipe(v.string('must be a string'), v.regex(/^[\w.-]+\/[\w.:@/+-]+$/, 'must have the form provider/model')),
  ),
  /** Instructions on top of OpenCode's own. */
  prompt: v.optional(text(64 * 1024)),
  /** Turns of the model after which the agent must come to an end. */
  steps: v.optional(v.pipe(v.number('must be a number'), v.integer(), v.minValue(1), v.maxValue(1000))),
  temperature: v.optional(v.pipe(v.number('must be a number'), v.minValue(0), v.maxValue(2))),
  /** OpenCode's permissions by tool, over those of the cell; a tool's own patterns may be decided one by one. */
  permission: v.optional(
    v.record(
      v.string(),
      v.union([decision, v.record(v.string(), decision)], 'must be allow or deny, or a map of patterns to them'),
    ),
  ),
  /** Limits of a request that names none; for runtimes that can enforce them. */
  resources: v.optional(
    v.strictObject({
      memory: v.optional(
        v.pipe(v.string('must be a string'), v.regex(/^[1-9]\d*[bkmg]?$/i, 'must be a size such as "768m"')),
      ),
      cpus: v.optional(v.pipe(v.number('must be a number'), v.minValue(0.01), v.maxValue(1024))),
      pids: v.optional(v.pipe(v.number('must be a number'), v.integer(), v.minValue(1))),
    }),
  ),
});

export const templatesSchema = v.strictObject({
  agents: v.record(
    v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'is not a name for an agent type')),
    templateSchema,
    'must be a map of agent types',
  ),
});

/** An agent type: what every cell of that type starts with. */
export type AgentTemplate = v.InferOutput<typeof templateSchema>;

/** Agent types by name. */
export type Templates = Readonly<Record<string, AgentTemplate>>;

/** The type of a request that names none: there even when the file does not define it. */
export const builtInTemplates: Templates = {
  worker: {
    description: 'Changes the code as the prompt says, and checks its own work.',
  },
};

/** The model where neither the request, nor the agent type, nor the host's OpenCode configuration names one. */
export const fallbackModel = 'anthropic/claude-sonnet-4-5';
