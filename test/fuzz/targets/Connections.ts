/**
 * Whole streams: two connections joined by a bad link, and one alone with somebody who makes everything up. What is
 * injected is valid traffic, changed. Whatever comes, nothing throws, nothing grows, time moves on and it all ends.
 */
import * as Bytes from "../../../src/core/data/Bytes.ts"
import { Connection } from "../../../src/protocol/stream/Connection.ts"
import * as StreamConfig from "../../../src/protocol/stream/StreamConfig.ts"
import { Capability } from "../../../src/protocol/wire/Announcement.ts"
import { Flag, type Segment } from "../../../src/protocol/wire/Packet.ts"
import * as SackBlocks from "../../../src/protocol/wire/SackBlocks.ts"
import { type End, isSame, type Link, pattern, StreamPair } from "../../support/StreamPair.ts"
import type * as Fuzzer from "../Fuzzer.ts"
import * as Random from "../Random.ts"
import * as Session from "../Session.ts"

/** Flags, sequence, acknowledgement, window, payload: what mutations see. */
const encode = ({ acknowledgement, flags, payload, sequence, window }: Segment): Uint8Array =>
  Bytes.concat(Uint8Array.of(flags), Bytes.ofU32(sequence), Bytes.ofU32(acknowledgement), Bytes.ofU16(window), payload)

const decode = (bytes: Uint8Array): Segment | undefined =>
  bytes.length < FIELD_BYTES
    ? undefined
    : {
        flags: bytes[0]! & 0xf,
        sequence: Bytes.readU32(bytes, 1),
        acknowledgement: Bytes.readU32(bytes, 5),
        window: Bytes.readU16(bytes, 9),
        payload: bytes.slice(FIELD_BYTES)
      }

/** Small buffers, so that their edges are near. */
const configOf = (next: Random.Random): StreamConfig.StreamConfig =>
  StreamConfig.make({
    segmentBytesMax: Random.pick([100, 400, StreamConfig.SEGMENT_BYTES_BASE], next),
    sendBufferBytesMax: 20_000,
    receiveBytesMax: 8000,
    receiveSegmentsMax: 32,
    congestionControl: Random.pick(["Bbr", "Cubic", "NewReno"], next),
    noDelay: next(2) === 0,
    isPeerSequenceFromZero: false,
    ...(next(2) === 0 ? {} : StreamConfig.announced(Random.pick(CAPABILITIES, next)))
  })

/** `losses` are probabilities to choose from. */
const linkOf = (next: Random.Random, losses: ReadonlyArray<number>): Link => ({
  latencyMs: Random.pick([0, 1, 15, 100], next),
  loss: Random.pick(losses, next),
  duplication: Random.pick([0, 0.05], next),
  reordering: Random.pick([0, 0.1], next),
  reorderMs: 40
})

/** The bounds of one end; `sent` is what one event made it send. */
const checkEnd = (
  session: Session.Session,
  connection: Connection,
  config: StreamConfig.StreamConfig,
  sent: number
) => {
  const { bytesInFlight, outOfOrderSegments, unackedSegments, windowSegments } = connection.stats
  session.check("receives more than twice its buffer", connection.readableBytes <= 2 * config.receiveBytesMax)
  session.check("holds more segments than it may", outOfOrderSegments <= 2 * config.receiveSegmentsMax)
  session.check("sends more than was written", bytesInFlight <= config.sendBufferBytesMax)
  session.check("remembers more than one segment per byte", unackedSegments <= config.sendBufferBytesMax + 2)
  session.check("advertises more than it has", windowSegments >= 0 && windowSegments <= 0xffff)
  session.check("takes more than its buffer", connection.writableBytes <= config.sendBufferBytesMax)
  session.check("answers one event with a flood", sent <= config.sendBufferBytesMax / SEGMENT_BYTES_MIN + SENT_SLACK)
  session.check("a deadline that is no time", !Number.isNaN(connection.deadlineMs))
}

interface Stage {
  readonly pair: StreamPair
  readonly config: StreamConfig.StreamConfig
  readonly written: readonly [Uint8Array, Uint8Array]
}

/** Both ends write, and with `ends` at times close when that is done. At 20 % loss a stream may rightly be given up. */
const stage = (session: Session.Session, ends: boolean, losses: ReadonlyArray<number>): Stage => {
  const { next } = session
  const config = configOf(next)
  const sequences = [next(2) === 0 ? 0 : next(2 ** 31), Random.pick([0, 5, 2 ** 31 - 100], next)] as const
  const pair = new StreamPair({ link: linkOf(next, losses), seed: next(2 ** 31), config, initialSequences: sequences })
  const written = [pattern(next(20_000), next(1000)), pattern(next(20_000), next(1000))] as const
  for (const [index, end] of [pair.a, pair.b].entries()) {
    end.outgoing = written[index]!
    end.wantsEnd = ends && next(2) === 0
    end.wantsClose = ends && !end.wantsEnd && next(3) === 0
  }
  pair.touch(pair.a)
  return { pair, config, written }
}

/** One event, checked: it answers with no flood, and time moves on after at most so many events. */
const steps = (session: Session.Session, { config, pair }: Stage) => {
  let still = 0
  let atMs = pair.nowMs
  return (): boolean => {
    const before = pair.segmentsSent
    const isAlive = pair.step()
    still = pair.nowMs === atMs ? still + 1 : 0
    atMs = pair.nowMs
    session.check("time stands still", still < STILL_MAX)
    for (const end of [pair.a, pair.b]) checkEnd(session, end.connection, config, pair.segmentsSent - before)
    return isAlive
  }
}

/** Everything that is under way ends, with our help at the end. */
const finish = (session: Session.Session, { pair }: Stage, step: () => boolean): void => {
  for (let count = 0; count < STEPS_MAX && pair.nowMs < PATIENCE_MS && step(); count++) {}
  for (const end of [pair.a, pair.b]) {
    end.outgoing = Bytes.empty
    end.connection.close(pair.nowMs)
    pair.touch(end)
  }
  const untilMs = pair.nowMs + 4 * PATIENCE_MS
  for (let count = 0; count < STEPS_MAX && pair.nowMs < untilMs && step(); count++) {}
  const [a, b] = [pair.a.connection, pair.b.connection]
  const isOver = (connection: Connection) => connection.isClosed || connection.state === "listen"
  session.check(`never ends: ${a.state} and ${b.state}`, isOver(a) && isOver(b))
}

const isPrefix = (received: Uint8Array, written: Uint8Array): boolean =>
  isSame(received, written.subarray(0, received.length))

/** Anything that the link has carried, changed, to either end. */
const hostilePair = (session: Session.Session): void => {
  const stage_ = stage(session, true, [0, 0, 0.02, 0.2])
  const { pair, written } = stage_
  const step = steps(session, stage_)
  let isTainted = false
  for (let turn = 0; turn < session.inputs; turn++) {
    for (let count = session.next(6); count > 0; count--) step()
    const end: End = session.next(2) === 0 ? pair.a : pair.b
    const recent = pair.sent.slice(-40).map(({ segment }) => encode(segment))
    const segment = decode(session.mutate(recent))
    if (segment === undefined) continue
    if ((segment.flags & Flag.Syn) === 0 && segment.payload.length === 0)
      isTainted ||= (segment.flags & ~Flag.Ack) !== 0
    else isTainted = true
    const before = pair.segmentsSent
    end.connection.receive(segment, pair.nowMs)
    pair.touch(end)
    checkEnd(session, end.connection, stage_.config, pair.segmentsSent - before)
  }
  finish(session, stage_, step)
  if (!isTainted) session.check("b got other bytes", isPrefix(pair.b.bytes, written[0]))
}

/**
 * What changes nothing in a stream: its own segments again, data that lies before or far behind the window, and word that
 * something arrived which was never sent. All bytes arrive, and nothing else.
 */
const outsideWindow = (session: Session.Session): void => {
  const stage_ = stage(session, false, [0, 0.02])
  const { pair, written } = stage_
  const step = steps(session, stage_)
  for (let turn = 0; turn < session.inputs; turn++) {
    for (let count = session.next(6); count > 0; count--) step()
    const to: End = session.next(2) === 0 ? pair.a : pair.b
    const own = pair.sent.filter(({ from, segment }) => from !== to.name && (segment.flags & Flag.Syn) === 0)
    if (own.length === 0) continue
    const input = session.take((next) => {
      const { segment } = Random.pick(next(2) === 0 ? own.slice(-20) : own, next)
      const expected = expectedBy(to, own)
      // A dial answers a wrong acknowledgement by a reset (RFC 9293 §3.10.7.3).
      const isMisplaced = next(2) === 0 || to.connection.state === "synSent"
      const made = isMisplaced ? misplaced(segment, expected, next) : unsent(segment, expected, sentBy(to, pair), next)
      return encode(next(2) === 0 ? segment : made)
    })
    const segment = decode(input)
    if (segment === undefined) continue
    to.connection.receive(segment, pair.nowMs)
    pair.touch(to)
  }
  const isAll = () => pair.b.receivedBytes >= written[0].length && pair.a.receivedBytes >= written[1].length
  for (let count = 0; count < STEPS_MAX && pair.nowMs < PATIENCE_MS && !isAll() && step(); count++) {}
  session.check("b got other bytes", isPrefix(pair.b.bytes, written[0]))
  session.check("a got other bytes", isPrefix(pair.a.bytes, written[1]))
  const { error } = pair.a.connection
  session.check(`bytes are missing (${error}, ${pair.b.connection.error})`, isAll())
  finish(session, stage_, step)
}

/** The wire sequence of the byte that an end waits for. */
const expectedBy = (to: End, own: ReadonlyArray<{ readonly segment: Segment }>): number => {
  const first = own.find(({ segment }) => segment.payload.length > 0)?.segment.sequence ?? 0
  return (first + to.receivedBytes + to.connection.readableBytes) >>> 0
}

/** The wire sequence behind everything that an end has sent. */
const sentBy = (to: End, { sent }: StreamPair): number => {
  const ends = sent
    .filter(({ from }) => from === to.name)
    .map(({ segment }) => segment.sequence + segment.payload.length)
  return Math.max(0, ...ends) + 1
}

/** Says, by its acknowledgement or by SACK, to have what was never sent. */
const unsent = (segment: Segment, sequence: number, sent: number, next: Random.Random): Segment => {
  const acknowledgement = (sent + Random.pick([1, 100, 2 ** 20, 2 ** 30], next)) >>> 0
  const claim = { ...segment, flags: Flag.Ack, sequence, payload: Bytes.empty }
  if (next(2) === 0) return { ...claim, acknowledgement }
  return { ...claim, payload: SackBlocks.encode([{ left: acknowledgement, right: (acknowledgement + 50) >>> 0 }]) }
}

/** Data with other bytes, wholly before the window or far behind it. */
const misplaced = (segment: Segment, expected: number, next: Random.Random): Segment => {
  const payload = Random.bytes(1 + next(300), next)
  const behind = Random.pick([100_000, 2 ** 20, 2 ** 30, 2 ** 31 - 1000], next)
  const sequence = next(2) === 0 ? expected - payload.length - next(1000) : expected + behind
  return { ...segment, flags: Flag.Ack, sequence: sequence >>> 0, payload }
}

/** One connection; the other side is what it says itself, reflected, changed and made up. */
const alone = (session: Session.Session): void => {
  const { next } = session
  const config = configOf(next)
  const sequence = Random.pick([0, 7, 2 ** 31 - 50], next)
  const isDialing = next(2) === 0
  const connection = isDialing ? Connection.dialing(config, sequence, 0) : Connection.listening(config, sequence)
  const said: Array<Uint8Array> = GREETINGS.map(encode)
  let nowMs = 0
  const drain = (): void => {
    const out = connection.drain(nowMs)
    checkEnd(session, connection, config, out.length)
    for (const segment of out) said.push(...[segment, mirrored(segment), sacking(segment)].map(encode))
    if (said.length > 60) said.splice(0, said.length - 60)
  }
  const wake = (): void => {
    for (let count = 0; connection.deadlineMs <= nowMs; count++) {
      session.check("time stands still", count < STILL_MAX)
      connection.timeout(nowMs)
      drain()
    }
  }
  drain()
  for (let turn = 0; turn < session.inputs; turn++) {
    const segment = decode(session.mutate(said))
    if (segment !== undefined) connection.receive(segment, nowMs)
    switch (next(12)) {
      case 0:
        connection.write(new Uint8Array(next(3000)), nowMs)
        break
      case 1:
        nowMs = Math.max(nowMs, Math.min(connection.deadlineMs, nowMs + 60_000))
        break
      case 2:
        nowMs += Random.pick([0, 0.5, 10, 300, 5000], next)
        break
      case 3:
        if (session.oneIn(20)) connection.end(nowMs)
        break
      case 4:
        if (session.oneIn(20)) connection.close(nowMs)
        break
      default:
        if (next(2) === 0) while (connection.read() !== undefined) {}
    }
    drain()
    wake()
  }
  connection.close(nowMs)
  drain()
  for (let count = 0; count < STEPS_MAX && connection.deadlineMs < Number.POSITIVE_INFINITY; count++) {
    nowMs = Math.max(nowMs, connection.deadlineMs)
    wake()
  }
  session.check(`never ends: ${connection.state}`, connection.isClosed)
}

/** What the other side of it would say. */
const mirrored = (segment: Segment): Segment => ({
  ...segment,
  flags: segment.flags | Flag.Ack,
  sequence: segment.acknowledgement,
  acknowledgement: (segment.sequence + Math.max(1, segment.payload.length)) >>> 0
})

/** The other side has it, and lacks something before it. */
const sacking = ({ acknowledgement, payload, sequence, window }: Segment): Segment => ({
  flags: Flag.Ack,
  sequence: acknowledgement,
  acknowledgement: sequence,
  window,
  payload: SackBlocks.encode([{ left: sequence, right: (sequence + payload.length) >>> 0 }])
})

const COVERS = [Connection]

/** Whole streams. */
export const targets: ReadonlyArray<Fuzzer.Target> = [
  Session.target({ name: "stream/hostile-pair", covers: COVERS, inputs: 60, play: hostilePair }),
  Session.target({ name: "stream/outside-window", covers: COVERS, inputs: 60, keepsInputs: true, play: outsideWindow }),
  Session.target({ name: "stream/alone", covers: COVERS, inputs: 100, play: alone })
]

const FIELD_BYTES = 11
const ALL = Capability.HalfClose | Capability.ResetReason | Capability.Recut
const CAPABILITIES = [0, Capability.HalfClose, Capability.ResetReason, Capability.Recut, ALL]
const greeting = (flags: number, payload: Uint8Array): Segment => ({
  flags,
  sequence: 0,
  acknowledgement: 1,
  window: 512,
  payload
})
const GREETINGS: ReadonlyArray<Segment> = [
  greeting(Flag.Syn, Bytes.empty),
  greeting(Flag.Syn | Flag.Ack, Bytes.empty),
  greeting(Flag.Ack, new Uint8Array(50)),
  greeting(Flag.Ack, Bytes.concat(Bytes.fromUtf8("SACK"), Uint8Array.of(1, 0, 0, 0, 9, 0, 0, 0, 80))),
  greeting(Flag.Fin | Flag.Ack, Bytes.empty),
  greeting(Flag.Fin, Bytes.empty),
  greeting(Flag.Rst, Uint8Array.of(7))
]
/** Segments may be cut smaller where the path is (`StreamConfig.SEGMENT_BYTES_FLOOR`), and a tiny one for each write. */
const SEGMENT_BYTES_MIN = 100
const SENT_SLACK = 80
/** Events at one instant. */
const STILL_MAX = 2000
const STEPS_MAX = 100_000
const PATIENCE_MS = 300_000
