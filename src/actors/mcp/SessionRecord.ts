/**
 * What of one client's session outlives the process (mcp §6.5): whoever has a share of its state shows it here, and all
 * shares are written together, so that what is on disk is the session as it was at one moment.
 *
 * The rule that makes it hold: nothing is seen outside before it is written. A message of the client is written before its
 * response begins, one of the server before the client can read it and before the keeper hears that it was handed over.
 */
import type { Part, Run, Saved, Snapshot, Writer } from "../../core/storage/StateFile.ts"

/** Whose part of the state it is: the client's side, with its event streams, or the keeper's. */
export type Share = "edge" | "shim"

/** One session's. Mutable; owned by the `HttpEdge`. */
export class SessionRecord {
  readonly #writer: Writer
  readonly #shares = new Map<Share, () => Snapshot>()
  #taken: (() => void) | undefined
  #isOver = false
  readonly #onLost: () => void

  /** What an earlier process left, if there is anything. */
  readonly restored: Saved | undefined

  /** `onLost` is told, once, when nothing can be kept any more. */
  constructor(writer: Writer, restored: Saved | undefined, onLost: () => void) {
    this.#writer = writer
    this.restored = restored
    this.#onLost = onLost
  }

  /** The session has ended, or can have no second life: nothing is kept, and the keeper may forget it as well. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** Adds a share of the state. Nothing is written yet. */
  share(share: Share, snapshot: () => Snapshot): void {
    this.#shares.set(share, snapshot)
  }

  /** Writes what has changed, once both shares are there: one without the other is no session. */
  save(): void {
    if (this.#isOver || this.#shares.size < SHARES) return
    const snapshots = [...this.#shares.values()].map((snapshot) => snapshot())
    const isSaved = this.#writer.save({
      parts: snapshots.flatMap(({ parts }): ReadonlyArray<Part> => [...parts]),
      runs: snapshots.flatMap(({ runs }): ReadonlyArray<Run> => [...runs])
    })
    if (isSaved) return
    this.#isOver = true
    this.#onLost()
  }

  /** A message of the server is about to be written to the client; `taken` runs in the moment in which it is in its place. */
  arrives(taken: (() => void) | undefined): void {
    this.#taken = taken
  }

  /** What was written to the client is in its place: it counts as handed over from now on, and so it is written down. */
  arrived(): void {
    this.#taken?.()
    this.#taken = undefined
    this.save()
  }

  /** Forgets the session. */
  end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#writer.remove()
  }
}

const SHARES = 2
