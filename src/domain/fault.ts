import * as v from 'valibot';

/** What is wrong with an outside value: the field's name, and a sentence that begins with it. */
export interface Fault {
  field: string;
  message: string;
}

/** Puts a schema's finding into words; `of` names the thing that was parsed, such as `request`. */
export function faultOf(issue: v.BaseIssue<unknown>, of: string): Fault {
  const field = readable(v.getDotPath(issue) ?? '');
  return { field, message: sentence(field, issue, of) };
}

function sentence(field: string, issue: v.BaseIssue<unknown>, of: string): string {
  const isObject = issue.type === 'strict_object' && issue.expected !== 'Object';
  if (isObject) return issue.expected === 'never' ? `${field} is not a field of ${anOf(of)}` : `${field} is required`;
  const must = issue.type === 'strict_object' ? `must be an object, not ${readable(issue.received)}` : issue.message;
  return field === '' ? `the ${of} ${must}` : `${field}: ${must}`;
}

const anOf = (of: string): string => (/^[aeiou]/.test(of) ? `an ${of}` : `a ${of}`);

/** What outsiders wrote, so that it cannot fill a page or reorder the sentence around it. */
function readable(text: string): string {
  const plain = text.replace(/[\p{C}\u2028\u2029]/gu, (character) => {
    return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`;
  });
  return plain.length <= longest ? plain : `${plain.slice(0, longest - 1)}…`;
}

const longest = 100;
