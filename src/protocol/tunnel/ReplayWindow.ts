/**
 * Which counters have been seen (RFC 6479): a bitmap over the newest `WINDOW_COUNTERS`, as a ring of 32-bit blocks, so
 * that moving forward clears whole blocks and shifts nothing. Asked only about frames that have been decrypted, because
 * a forged counter must not move the window (wire §6.6).
 */

/** Counters that may still arrive late. The reference keeps 256; one turn of our socket alone can bring 32 frames. */
export const WINDOW_COUNTERS = 1024

/** One sequence of counters. Mutable: consulted for every packet, by one owner. */
export class ReplayWindow {
  #newest = 0
  readonly #blocks = new Uint32Array(BLOCKS)

  /** Records a counter; false if it is 0, was recorded before, or lies before the window. */
  accept(counter: number): boolean {
    if (counter < 1 || this.#newest - counter >= WINDOW_COUNTERS) return false
    const block = Math.floor(counter / BLOCK_BITS)
    if (counter > this.#newest) this.#advance(counter, block)
    const index = block % BLOCKS
    const bit = 1 << (counter % BLOCK_BITS)
    if ((this.#blocks[index]! & bit) !== 0) return false
    this.#blocks[index]! |= bit
    return true
  }

  #advance(counter: number, block: number): void {
    const newestBlock = Math.floor(this.#newest / BLOCK_BITS)
    const entered = Math.min(block - newestBlock, BLOCKS)
    for (let step = 0; step < entered; step++) this.#blocks[(block - step) % BLOCKS] = 0
    this.#newest = counter
  }
}

/**
 * The windows of one key: one per nonce prefix, because a peer of the reference starts over at counter 1 with a new
 * prefix whenever it sees our key exchange again (wire §6.3). The least recently used beyond `PREFIXES_MAX` is dropped.
 */
export class ReplayWindows {
  /** Most recently used first. */
  readonly #windows: Array<{ readonly prefix: number; readonly window: ReplayWindow }> = []

  /** Whether a counter was recorded under this prefix, unless that is too long ago. */
  has(prefix: number): boolean {
    return this.#windows.some((entry) => entry.prefix === prefix)
  }

  /** Records a counter under its prefix; see `ReplayWindow.accept`. */
  accept(prefix: number, counter: number): boolean {
    const [newest] = this.#windows
    if (newest?.prefix === prefix) return newest.window.accept(counter)
    const found = this.#windows.findIndex((entry) => entry.prefix === prefix)
    const entry = found < 0 ? { prefix, window: new ReplayWindow() } : this.#windows[found]!
    if (!entry.window.accept(counter)) return false
    if (found >= 0) this.#windows.splice(found, 1)
    this.#windows.unshift(entry)
    if (this.#windows.length > PREFIXES_MAX) this.#windows.pop()
    return true
  }
}

/** Prefixes remembered per key: the newest and four older (wire §15.2). */
export const PREFIXES_MAX = 5

const BLOCK_BITS = 32
/** One more than the window fills, because it rarely starts at the edge of a block. */
const BLOCKS = WINDOW_COUNTERS / BLOCK_BITS + 1
