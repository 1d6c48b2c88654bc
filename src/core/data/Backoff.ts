/** How long to wait before trying again: exponential, capped, and spread so that many do not retry in step. */

/** `jitter` from 0 (none) to 1 (anywhere from no wait to the whole wait) is the share that chance may take off. */
export interface Config {
  readonly initialMs: number
  readonly factor: number
  readonly maxMs: number
  readonly jitter: number
}

/**
 * The wait before retry `attempt` (0 is the first). `random` in [0, 1) is the chance, an argument so that runs can be
 * replayed. Never above `maxMs`, so jitter only ever shortens.
 */
export const delayMs = (config: Config, attempt: number, random: number): number =>
  Math.min(config.maxMs, config.initialMs * config.factor ** attempt) * (1 - config.jitter * random)
