import { UserError } from '../domain/user-error.ts';
import { type BaseConfig, readBaseConfig } from '../opencode/config.ts';

/** Reads the file that `CELLS_OPENCODE_CONFIG` names. @throws UserError `InvalidConfiguration` */
export async function readOpencodeConfig(file: string | null): Promise<BaseConfig> {
  try {
    return await readBaseConfig(file);
  } catch (cause) {
    throw new UserError(
      'InvalidConfiguration',
      `CELLS_OPENCODE_CONFIG: ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        try: 'correct the file, or unset CELLS_OPENCODE_CONFIG',
        cause,
      },
    );
  }
}
