import prettyMs from 'pretty-ms';

/** `1,234`; a dash for what is not known. */
export const numberWord = (value: number | null): string => (value === null ? '–' : value.toLocaleString('en-US'));

/** `1,234/50,000`, or `1,234` where the budget is not known. */
export const tokensWord = (used: number, budget: number): string =>
  budget > 0 ? `${numberWord(used)}/${numberWord(budget)}` : numberWord(used);

/** `34s`, `1m 12s`; a dash for what is not known. */
export function durationWord(milliseconds: number | null): string {
  if (milliseconds === null) return '–';
  return milliseconds < 10_000
    ? prettyMs(milliseconds, { secondsDecimalDigits: 1 })
    : prettyMs(milliseconds, { secondsDecimalDigits: 0 });
}

/** A time of the day where it was today, else with its date. */
export function timeWord(at: number, now = Date.now()): string {
  const date = new Date(at);
  const time = date.toLocaleTimeString('en-GB');
  return date.toDateString() === new Date(now).toDateString() ? time : `${date.toLocaleDateString('en-CA')} ${time}`;
}

/** On one line and no longer than that; what an agent wrote may hold control characters, which a terminal would obey. */
export function oneLine(text: string, longest: number): string {
  const line = text.replaceAll(/[\s\p{C}]+/gu, ' ').trim();
  return line.length > longest ? `${line.slice(0, longest - 1).toWellFormed()}…` : line;
}

/** Text of several lines without the control characters that a terminal would obey. */
export const harmless = (text: string): string => text.replaceAll(/[^\P{C}\n\t]/gu, '');

/** The first ten digits of a commit. */
export const shortCommit = (commit: string | null | undefined): string => commit?.slice(0, 10) ?? '–';

/** `512 MiB`, `1.5 GiB`. */
export function sizeWord(bytes: number): string {
  const mebibytes = bytes / 1024 ** 2;
  return mebibytes < 1024 ? `${Math.round(mebibytes)} MiB` : `${(mebibytes / 1024).toFixed(1)} GiB`;
}

/** `12.5 %`; a dash for what is not known. */
export const percentWord = (percent: number | null): string => (percent === null ? '–' : `${percent.toFixed(1)} %`);
