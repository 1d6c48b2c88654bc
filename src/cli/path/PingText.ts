/** A short time as people read it: `15.901895ms`, `754.6µs`, `1.2s`. */
export const elapsed = (ms: number): string => {
  if (ms >= 1000) return `${trimmed(ms / 1000, 9)}s`
  return ms >= 1 ? `${trimmed(ms, 6)}ms` : `${trimmed(ms * 1000, 3)}µs`
}

const trimmed = (value: number, decimals: number): string => String(Number(value.toFixed(decimals)))
