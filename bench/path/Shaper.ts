/**
 * A path between two hosts as a process of its own: IP packets come out of one TUN device, wait as a `Link` of the
 * simulator says, and go into the other. What runs at the ends (TCP of the kernel, UDP of whoever) is not told.
 *
 * Per direction one thread blocks in reading and one sleeps until the next packet is due, so that nothing spins, and a
 * packet is late by a wake-up of a thread (some 60 µs), not by a millisecond of an event loop. Packets keep their order.
 *
 * Run as a child by `Path.ts` with the devices as descriptors 4 and 5: `node bench/path/Shaper.ts`.
 */
import { readSync, writeSync } from "node:fs"
import { isMainThread, Worker, workerData } from "node:worker_threads"
import { Link, SeededRandom } from "effect-pilot/testing"

/** What one direction does. There is no queue where there is no rate. */
export interface Shape {
  readonly delayMs: number
  readonly lossRate: number
  /** `Infinity` for a link that is never busy. */
  readonly bitsPerSecond: number
  readonly queueBytes: number
}

/** Packets of one direction since the shape was set. */
export interface Counts {
  readonly forwarded: number
  readonly lost: number
  readonly queueFull: number
}

/** To the shaper: a shape for both directions. It answers with the counts of both under the shape before. */
export interface Request {
  readonly shape: Shape
  readonly seed: number
}

/** What the threads of one direction share. */
interface Direction {
  readonly from: number
  readonly to: number
  readonly control: Int32Array
  readonly shape: Float64Array
  readonly dueAtMs: Float64Array
  readonly lengths: Int32Array
  readonly slots: Uint8Array
}

const direction = (from: number, to: number): Direction => ({
  from,
  to,
  control: new Int32Array(new SharedArrayBuffer(4 * Object.keys(CONTROL).length)),
  shape: new Float64Array(new SharedArrayBuffer(8 * 4)),
  dueAtMs: new Float64Array(new SharedArrayBuffer(8 * SLOTS)),
  lengths: new Int32Array(new SharedArrayBuffer(4 * SLOTS)),
  slots: new Uint8Array(new SharedArrayBuffer(SLOT_BYTES * SLOTS))
})

const main = (): void => {
  const directions = [direction(4, 5), direction(5, 4)]
  for (const [index, shared] of directions.entries()) {
    for (const role of ["read", "write"]) new Worker(new URL(import.meta.url), { workerData: { role, index, shared } })
  }
  process.on("disconnect", () => process.kill(process.pid, "SIGKILL"))
  process.on("message", ({ seed, shape }: Request) => {
    process.send?.(directions.map(counts))
    for (const { control, shape: values } of directions) {
      values.set([shape.delayMs, shape.lossRate, shape.bitsPerSecond, shape.queueBytes])
      for (const counter of [CONTROL.lost, CONTROL.queueFull, CONTROL.forwarded]) Atomics.store(control, counter, 0)
      Atomics.store(control, CONTROL.seed, seed)
      Atomics.add(control, CONTROL.version, 1)
    }
  })
}

const counts = ({ control }: Direction): Counts => ({
  forwarded: Atomics.load(control, CONTROL.forwarded),
  lost: Atomics.load(control, CONTROL.lost),
  queueFull: Atomics.load(control, CONTROL.queueFull)
})

/** Takes packets as they come and decides at once what becomes of each. */
const read = (shared: Direction, index: number): void => {
  const { control, dueAtMs, from, lengths, shape, slots } = shared
  let [version, link, state, random] = [-1, Link.PERFECT, Link.idle(), SeededRandom.make(0)]
  for (let tail = 0; ; ) {
    const slot = tail % SLOTS
    const length = next(from, slots, slot * SLOT_BYTES)
    if (length === undefined) return
    const nowMs = monotonicMs()
    if (Atomics.load(control, CONTROL.version) !== version) {
      version = Atomics.load(control, CONTROL.version)
      const [delayMs = 0, lossRate = 0, bitsPerSecond = 0, queueBytes = 0] = shape
      link = { ...Link.PERFECT, delayMs, lossRate, bitsPerSecond, queueBytes }
      random = SeededRandom.make(2 * Atomics.load(control, CONTROL.seed) + index)
      state = Link.idle()
    }
    const isFull = tail - Atomics.load(control, CONTROL.head) >= SLOTS - 1
    const fate = Link.transmit(link, state, length - Link.HEADER_BYTES, nowMs, random)
    if (isFull || fate._tag === "Lost") {
      Atomics.add(
        control,
        !isFull && fate._tag === "Lost" && fate.reason === "Loss" ? CONTROL.lost : CONTROL.queueFull,
        1
      )
      continue
    }
    lengths[slot] = length
    dueAtMs[slot] = nowMs + (fate.delaysMs[0] ?? 0)
    tail += 1
    Atomics.store(control, CONTROL.tail, tail)
    Atomics.notify(control, CONTROL.tail)
  }
}

/** Waits for a packet; `undefined` when the device has gone with its host. */
const next = (from: number, slots: Uint8Array, offset: number): number | undefined => {
  try {
    return readSync(from, slots, offset, SLOT_BYTES, null)
  } catch {
    return undefined
  }
}

/** Lets each packet go when it is due. */
const write = ({ control, dueAtMs, lengths, slots, to }: Direction): void => {
  for (let head = 0; ; head++) {
    Atomics.wait(control, CONTROL.tail, head)
    const slot = head % SLOTS
    const waitMs = (dueAtMs[slot] ?? 0) - monotonicMs()
    // Nobody notifies this one: it is a sleep, with more precision than a timer of the event loop.
    if (waitMs > 0) Atomics.wait(control, CONTROL.never, 0, waitMs)
    try {
      writeSync(to, slots, slot * SLOT_BYTES, lengths[slot])
    } catch {
      // The device of the other side went down: as on a link that was unplugged.
    }
    Atomics.add(control, CONTROL.forwarded, 1)
    Atomics.store(control, CONTROL.head, head + 1)
  }
}

/** The same clock in every thread. */
const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6

/** `tail` and `head` count packets put in and taken out. */
const CONTROL = { tail: 0, head: 1, never: 2, version: 3, seed: 4, forwarded: 5, lost: 6, queueFull: 7 }
/** A second of 50 MB/s. */
const SLOTS = 32_768
/** More than the largest packet of the devices. */
const SLOT_BYTES = 2048

if (isMainThread) main()
else if (workerData.role === "read") read(workerData.shared, workerData.index)
else write(workerData.shared)
