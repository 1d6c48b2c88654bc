/**
 * What each peer uses of each service, over all of its sessions (mcp §6.10). Mutable inside the one `Keeper` that owns it;
 * what is unused for a minute takes no memory.
 */
import type { Usage } from "../../../protocol/relay/Policy.ts"

/** One peer's use of one service. The minute begins with the first call after the last one. */
export interface PeerUsage {
  sinceMs: number
  calls: number
  concurrent: number
  bytes: number
}

/** All of them. */
export class PeerUsages {
  readonly #all = new Map<string, PeerUsage>()

  /** The count of a peer; the same one as long as it counts anything. */
  of(service: string, node: number, nowMs: number): PeerUsage {
    for (const [key, usage] of this.#all) {
      if (usage.concurrent === 0 && nowMs - usage.sinceMs >= WINDOW_MS) this.#all.delete(key)
    }
    const key = `${service} ${node}`
    const usage = this.#all.get(key) ?? { sinceMs: nowMs, calls: 0, concurrent: 0, bytes: 0 }
    this.#all.set(key, usage)
    return usage
  }
}

/** The use that counts now. */
export const current = (self: PeerUsage, nowMs: number): Usage => {
  if (nowMs - self.sinceMs >= WINDOW_MS) {
    self.sinceMs = nowMs
    self.calls = 0
    self.bytes = 0
  }
  return self
}

const WINDOW_MS = 60_000
