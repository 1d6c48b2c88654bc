/** Whose key exchanges were not believed, and why: kept for people to look at, since somebody is attacking or mistaken. */
import type { KeyRefusal } from "../../protocol/ProtocolEvent.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"

/** One node and reason. */
export interface RefusedKey {
  readonly node: NodeId
  readonly reason: KeyRefusal
  readonly count: number
}

/** Mutable: counts since the node started. */
export class KeyRefusals {
  /** Least recently refused first. */
  readonly #rows = new Map<string, RefusedKey>()

  /** The newest `ROWS_MAX`, the most recent last. */
  get rows(): ReadonlyArray<RefusedKey> {
    return [...this.#rows.values()]
  }

  /** Counts one; the row refused longest ago gives way. */
  note(node: NodeId, reason: KeyRefusal): void {
    const name = `${node} ${reason}`
    const count = (this.#rows.get(name)?.count ?? 0) + 1
    this.#rows.delete(name)
    this.#rows.set(name, { node, reason, count })
    const [oldest] = this.#rows.keys()
    if (this.#rows.size > ROWS_MAX && oldest !== undefined) this.#rows.delete(oldest)
  }
}

/** Rows kept: a forger may claim to be anybody. */
const ROWS_MAX = 64
