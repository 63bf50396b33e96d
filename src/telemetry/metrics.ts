/** One metric: its Prometheus name, its unit, and what it says. */
export interface Metric {
  name: string;
  kind: 'gauge' | 'counter' | 'histogram';
  unit: string;
  labels: readonly string[];
  description: string;
}

/** Every metric of agent-cells. The SDK's own `temporal_*` metrics stand beside them. */
export const metrics = {
  active: metric('cells_active', 'gauge', '', ['host', 'runtime'], 'Cells that live on the host'),
  capacity: metric('cells_capacity', 'gauge', '', ['host'], 'Cells that may live on the host at once'),
  warmServers: metric('cells_warm_servers', 'gauge', '', ['host'], 'Servers that wait, booted ahead, for a cell'),
  spawned: metric(
    'cells_spawned_total',
    'counter',
    '',
    ['start'],
    'Cells that were spawned, by a warm or a cold start',
  ),
  spawnDuration: metric(
    'cells_spawn_duration_seconds',
    'histogram',
    's',
    ['runtime', 'status'],
    'From the claim to a healthy cell',
  ),
  executionDuration: metric(
    'cells_execution_duration_seconds',
    'histogram',
    's',
    ['runtime', 'status'],
    'Time of the agent, all rounds',
  ),
  testDuration: metric(
    'cells_test_duration_seconds',
    'histogram',
    's',
    ['runtime', 'status'],
    'Time of the test command, all rounds',
  ),
  teardownDuration: metric(
    'cells_teardown_duration_seconds',
    'histogram',
    's',
    ['runtime', 'status'],
    'Time of the teardown',
  ),
  totalDuration: metric(
    'cells_total_duration_seconds',
    'histogram',
    's',
    ['runtime', 'status'],
    'From the start of the workflow to the end of the teardown',
  ),
  completed: metric(
    'cells_completed_total',
    'counter',
    '',
    ['status'],
    'Cells that reached a verdict or were cancelled',
  ),
  failed: metric('cells_failed_total', 'counter', '', ['type'], 'Cells that reached no verdict'),
  respawned: metric('cells_respawned_total', 'counter', '', ['reason'], 'Cells that were made anew'),
  reaped: metric(
    'cells_reaped_total',
    'counter',
    '',
    ['resource'],
    'What the reaper released because nobody owned it any more',
  ),
  tokens: metric('cells_tokens_total', 'counter', '', ['kind', 'model'], 'Tokens that agents used'),
  promptsHeld: metric(
    'cells_prompts_held',
    'gauge',
    '',
    ['host', 'model'],
    'Prompts that wait until a provider that failed answers again',
  ),
  gatewayRequests: metric(
    'cells_gateway_requests_total',
    'counter',
    '',
    ['host', 'model', 'outcome'],
    'Requests of cells to a model, by how they ended',
  ),
  gatewayTokens: metric(
    'cells_gateway_tokens_total',
    'counter',
    '',
    ['host', 'model', 'kind'],
    'Tokens that the gateway counted',
  ),
  gatewayEstimated: metric(
    'cells_gateway_estimated_tokens_total',
    'counter',
    '',
    ['host', 'model'],
    'Of these tokens, how many are estimated, since the provider did not report them',
  ),
  gatewayCost: metric(
    'cells_gateway_cost_dollars_total',
    'counter',
    '',
    ['host', 'model'],
    'US dollars, of models whose price is known',
  ),
  gatewayCooldowns: metric(
    'cells_gateway_cooldowns_total',
    'counter',
    '',
    ['host', 'model'],
    'How often a provider asked to be left alone',
  ),
  gatewayCooldown: metric(
    'cells_gateway_cooldown_seconds',
    'gauge',
    's',
    ['host', 'model'],
    'How long the provider still wants to be left alone; 0 when it does not',
  ),
  gatewayFirstToken: metric(
    'cells_gateway_first_token_seconds',
    'histogram',
    's',
    ['host', 'model'],
    'From the sending of a request to the first piece of its answer',
  ),
  memory: metric('cells_memory_bytes', 'gauge', 'By', ['host'], 'Memory of all processes of all cells of the host'),
  memoryAlerts: metric(
    'cells_memory_alerts_total',
    'counter',
    '',
    ['host', 'runtime'],
    'How often a cell came to nine tenths of its memory limit',
  ),
  claiming: metric(
    'cells_claiming',
    'gauge',
    '',
    ['host'],
    'Whether the host asks for cells: 1, or 0 while it does not',
  ),
  refusing: metric(
    'cells_refusing',
    'gauge',
    '',
    ['host', 'reason'],
    'Why the host asks for no cell: 1 for what applies',
  ),
  breaker: metric(
    'cells_spawn_breaker',
    'gauge',
    '',
    ['host', 'state'],
    'State of the breaker of spawns: 1 for what applies',
  ),
  memoryRoom: metric(
    'cells_memory_room_bytes',
    'gauge',
    'By',
    ['host'],
    'Memory for further cells, without reserve and growth',
  ),
  memoryNeed: metric(
    'cells_memory_need_bytes',
    'gauge',
    'By',
    ['host'],
    'Memory that the next cell is expected to need',
  ),
  diskRoom: metric(
    'cells_disk_room_bytes',
    'gauge',
    'By',
    ['host'],
    'Disk for further cells, without reserve and growth',
  ),
  portsInUse: metric('cells_ports_in_use', 'gauge', '', ['host'], 'Ports of the range that cells hold'),
} as const satisfies Record<string, Metric>;

function metric(
  name: string,
  kind: Metric['kind'],
  unit: string,
  labels: readonly string[],
  description: string,
): Metric {
  return { name, kind, unit, labels, description };
}
