/** What took more than it may gets half as much again in its next try: time of a test run or of an agent's silence, memory of a cell. */
const factor = 1.5;

/** The time of the next try, in the unit of the first. The deadline of the cell holds all the same. */
export const longerTime = (time: number): number => time * factor;

/** The memory of the next try, in the unit of the first. What a host has, it must have. */
export const moreMemory = (memory: number): number => memory * factor;
