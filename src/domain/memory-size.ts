const units = { b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** A size as Docker takes it, such as `768m`: bytes, or KiB, MiB, GiB. */
export function bytesOfSize(size: string): number {
  const unit = /[bkmg]$/i.exec(size)?.[0].toLowerCase() ?? 'b';
  return Number.parseInt(size, 10) * units[unit as keyof typeof units]; // the pattern has no other letters
}
