import { defineSearchAttributeKey } from '@temporalio/common';

/** The typed keys under which a cell is found in Temporal's visibility store. */
export const searchAttributes = {
  lifecycle: defineSearchAttributeKey('CellLifecycle', 'KEYWORD'),
  step: defineSearchAttributeKey('CellStep', 'KEYWORD'),
  agentId: defineSearchAttributeKey('CellAgentId', 'KEYWORD'),
  taskId: defineSearchAttributeKey('CellTaskId', 'KEYWORD'),
  agentType: defineSearchAttributeKey('CellAgentType', 'KEYWORD'),
  host: defineSearchAttributeKey('CellHost', 'KEYWORD'),
  repository: defineSearchAttributeKey('CellRepository', 'KEYWORD'),
  status: defineSearchAttributeKey('CellStatus', 'KEYWORD'),
  tokens: defineSearchAttributeKey('CellTokens', 'INT'),
} as const;

/** What a namespace needs before cells can be found in it; `type` is the word that `temporal operator search-attribute create` takes. */
export const requiredSearchAttributes: readonly { name: string; type: 'Keyword' | 'Int' }[] = Object.values(
  searchAttributes,
).map(({ name, type }) => ({ name, type: type === 'INT' ? 'Int' : 'Keyword' }));
