/** What took longer than it may gets half as much again in its next try: of a test run, or of an agent's silence. */
const factor = 1.5;

/** The time of the next try, in the unit of the first. The deadline of the cell holds all the same. */
export const longerTime = (time: number): number => time * factor;
