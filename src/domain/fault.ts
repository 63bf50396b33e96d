import * as v from 'valibot';

/** What is wrong with an outside value: the field's name, and a sentence that begins with it. */
export interface Fault {
  field: string;
  message: string;
}

/** Puts a schema's finding into words; `of` names the thing that was parsed, such as `request`. */
export function faultOf(issue: v.BaseIssue<unknown>, of: string): Fault {
  const field = v.getDotPath(issue) ?? '';
  return { field, message: sentence(field, issue, of) };
}

function sentence(field: string, issue: v.BaseIssue<unknown>, of: string): string {
  if (field === '') return `the ${of} must be an object, not ${issue.received}`;
  if (issue.type === 'strict_object') {
    return issue.expected === 'never' ? `${field} is not a field of a ${of}` : `${field} is required`;
  }
  return `${field}: ${issue.message}`;
}
