import { type AdmissionState, readAdmissionState, staleAfter } from '../worker/admission/state.ts';
import { durationWord } from './words.ts';

/** What the worker of this host last said of claims; `fresh` while it still holds. Null where no worker has run. */
export async function localAdmission(stateDirectory: string): Promise<(AdmissionState & { fresh: boolean }) | null> {
  const state = await readAdmissionState(stateDirectory);
  return state === null ? null : { ...state, fresh: Date.now() - state.at < staleAfter };
}

/** `yes`, or `no: memory: …`, for a person. */
export function admissionWord({ claims, reason, detail, since }: AdmissionState): string {
  if (claims) return 'yes';
  return `no, for ${durationWord(Date.now() - since)}: ${reason}: ${detail}`;
}
