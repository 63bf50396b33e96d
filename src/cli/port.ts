import { UserError } from '../domain/user-error.ts';

/** The port that `--port` names, of those up to the highest; 0 stands for any free one. @throws UserError `InvalidInput` */
export function portFrom(text: string, highest = 65_535, because = ''): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= highest) return Number(text);
  throw new UserError('InvalidInput', `--port ${text} is not a port that can be taken`, {
    try: `give a number from 0 to ${highest}${because}; 0 is any free one`,
  });
}
