/** On every container and network: the id of the state directory that it belongs to. */
export const ownerLabel = 'agent-cells.owner';
/** On them too: the cell. */
export const cellLabel = 'agent-cells.cell';
/** On containers: the part of the cell, which is its server or one command. See `serverPart`. */
export const partLabel = 'agent-cells.part';
/** On images that `cells image build` made: the version that made it. */
export const imageLabel = 'agent-cells.image';

/** Which containers are meant: all of an owner, those of one cell, of one part of it. */
export interface Whose {
  owner: string;
  cellId?: string;
  part?: string;
}

/** The engine's filter for what carries these labels. */
export function labelled({ owner, cellId, part }: Whose): { label: string[] } {
  const labels = { [ownerLabel]: owner, [cellLabel]: cellId, [partLabel]: part };
  return {
    label: Object.entries(labels).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`])),
  };
}
/** On networks: the project whose services are in it. */
export const networkLabel = 'agent-cells.network';
