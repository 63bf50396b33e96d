export { agentCell } from './agent-cell.ts';
