import { assert, describe, expect, it } from "@effect/vitest"
import { Connection } from "../../../src/protocol/stream/Connection.ts"
import * as StreamConfig from "../../../src/protocol/stream/StreamConfig.ts"
import { Capability } from "../../../src/protocol/wire/Announcement.ts"
import type { Segment } from "../../../src/protocol/wire/Packet.ts"
import * as ResetReason from "../../../src/protocol/wire/ResetReason.ts"
import * as SackBlocks from "../../../src/protocol/wire/SackBlocks.ts"
import { segment, text, type Written } from "../../support/StreamTranscript.ts"

/** Ours starts at 100, the peer's at 500; 5 bytes of the peer have been read and 3 of ours acknowledged where there are any. */
const [OWN, PEER] = [100, 500]
const syn: Written = { flags: "S", seq: PEER, window: 512 }
const synAck: Written = { flags: "SA", seq: PEER, ack: OWN + 1, window: 512 }
const data = (seq: number, ack: number): Written => ({ flags: "A", seq, ack, payload: text("01234") })

type Configuration = Partial<StreamConfig.StreamConfig>
const feed = (connection: Connection, nowMs: number, ...written: ReadonlyArray<Written>): Connection => {
  for (const one of written) connection.receive(segment(one), nowMs)
  connection.drain(nowMs)
  return connection
}

const dialling = (config: Configuration) => {
  const connection = Connection.dialing(StreamConfig.make(config), OWN, 0)
  connection.drain(0)
  return connection
}

const established = (config: Configuration) => {
  const connection = feed(Connection.listening(StreamConfig.make(config), OWN), 0, syn, {
    flags: "A",
    seq: PEER + 1,
    ack: OWN + 1
  })
  feed(connection, 1, data(PEER + 1, OWN + 1))
  connection.write(text("abc"), 2)
  connection.drain(2)
  return feed(connection, 60, { flags: "A", seq: PEER + 6, ack: OWN + 4 })
}

const ended = (config: Configuration) => {
  const connection = established(config)
  connection.end(70)
  connection.drain(70)
  return connection
}

const peerEnded = (config: Configuration) => feed(established(config), 70, { flags: "F", seq: PEER + 6 })

/** The states of the table, those that the wire merges into `finWait` apart. */
const states: Readonly<Record<string, (config: Configuration) => Connection>> = {
  closed: (config) => {
    const connection = established(config)
    connection.reset()
    connection.drain(70)
    return connection
  },
  listen: (config) => Connection.listening(StreamConfig.make(config), OWN),
  synSent: dialling,
  synReceived: (config) => feed(Connection.listening(StreamConfig.make(config), OWN), 0, syn),
  established,
  "established, dialled": (config) => feed(dialling(config), 10, synAck),
  "established, 3 bytes unacknowledged": (config) => {
    const connection = established(config)
    connection.write(text("xyz"), 70)
    connection.drain(70)
    return connection
  },
  "finWait, data before the FIN": (config) => {
    const connection = established(config)
    connection.write(text("xyz"), 70)
    connection.end(70)
    connection.drain(70)
    return connection
  },
  "finWait (FIN-WAIT-1)": ended,
  "finWait, acknowledged (FIN-WAIT-2)": (config) =>
    feed(ended(config), 80, { flags: "A", seq: PEER + 6, ack: OWN + 5 }),
  "finWait, closed (FIN-WAIT-2, no reader)": (config) => {
    const connection = feed(ended(config), 80, { flags: "A", seq: PEER + 6, ack: OWN + 5 })
    connection.close(80)
    return connection
  },
  "finWait, peer ended (CLOSING)": (config) => feed(ended(config), 80, { flags: "F", seq: PEER + 6 }),
  closeWait: peerEnded,
  "finWait after closeWait (LAST-ACK)": (config) => {
    const connection = peerEnded(config)
    connection.end(80)
    connection.drain(80)
    return connection
  },
  timeWait: (config) => feed(ended(config), 80, { flags: "FA", seq: PEER + 6, ack: OWN + 5 })
}

const receiving =
  (written: Written) =>
  (connection: Connection, nowMs: number): void =>
    connection.receive(segment(written), nowMs)

const inputs: Readonly<Record<string, (connection: Connection, nowMs: number) => void>> = {
  SYN: receiving(syn),
  "SYN, another sequence": receiving({ ...syn, seq: PEER + 77 }),
  "SYN|ACK": receiving(synAck),
  "SYN|ACK of something else": receiving({ ...synAck, ack: 7 }),
  "ACK, nothing new": receiving({ flags: "A", seq: PEER + 6, ack: OWN + 1 }),
  "ACK of all, FIN included": receiving({ flags: "A", seq: PEER + 6, ack: OWN + 5 }),
  "ACK of what was never sent": receiving({ flags: "A", seq: PEER + 6, ack: OWN + 5000 }),
  "ACK, window 0": receiving({ flags: "A", seq: PEER + 6, ack: OWN + 4, window: 0 }),
  "SACK of what was never sent": receiving({
    flags: "A",
    seq: PEER + 6,
    ack: OWN + 1,
    payload: SackBlocks.encode([{ left: OWN + 900, right: OWN + 950 }])
  }),
  "data in order": receiving(data(PEER + 6, OWN + 1)),
  "data beyond a hole": receiving(data(PEER + 20, OWN + 1)),
  "data again": receiving(data(PEER + 1, OWN + 1)),
  "data, half of it again": receiving(data(PEER + 4, OWN + 1)),
  "data outside the window": receiving(data(PEER + 20_000_000, OWN + 1)),
  FIN: receiving({ flags: "F", seq: PEER + 6 }),
  "FIN beyond a hole": receiving({ flags: "F", seq: PEER + 20 }),
  "FIN|ACK": receiving({ flags: "FA", seq: PEER + 6, ack: OWN + 5 }),
  RST: receiving({ flags: "R" }),
  "RST, aborted": receiving({ flags: "R", payload: ResetReason.encode("Aborted") }),
  "RST, no such stream": receiving({ flags: "R", payload: ResetReason.encode("NoConnection") }),
  "no flag": receiving({ flags: "", seq: PEER + 6 }),
  "call write": (connection, nowMs) => void connection.write(text("more"), nowMs),
  "call read": (connection) => void connection.read(),
  "call end": (connection, nowMs) => connection.end(nowMs),
  "call close": (connection, nowMs) => connection.close(nowMs),
  "call reset": (connection) => connection.reset(),
  "peer restarted": (connection) => connection.peerRestarted(),
  "early timer": (connection, nowMs) => connection.timeout(nowMs),
  "due timer": (connection) => connection.timeout(connection.deadlineMs)
}

const letters = ["S", "A", "F", "R"]
const written = ({ acknowledgement, flags, payload, sequence }: Segment): string => {
  const name = [1, 2, 4, 8].flatMap((bit, index) => ((flags & bit) === 0 ? [] : [letters[index]])).join("")
  const reason = (flags & 8) === 0 ? undefined : ResetReason.decode(payload)
  return `${name}(${sequence},${acknowledgement}${payload.length === 0 ? "" : `,${reason ?? `${payload.length} bytes`}`})`
}

/** What one input does in one state. */
const outcome = (make: (config: Configuration) => Connection, config: Configuration, input: string): string => {
  const connection = make(config)
  const nowMs = 200
  inputs[input]?.(
    connection,
    Number.isFinite(connection.deadlineMs) ? Math.min(nowMs, connection.deadlineMs - 1) : nowMs
  )
  const deadlineMs = connection.deadlineMs
  const sent = connection.drain(
    input === "due timer" && Number.isFinite(deadlineMs) ? Math.max(nowMs, deadlineMs) : nowMs
  )
  const error = connection.error === undefined ? "" : ` ${connection.error}`
  return `${input.padEnd(28)} → ${connection.state}${error}${sent.map((one) => ` ${written(one)}`).join("")}`
}

const matrix = (config: Configuration) =>
  Object.fromEntries(
    Object.entries(states).map(([name, make]) => [
      name,
      Object.keys(inputs).map((input) => outcome(make, config, input))
    ])
  )

const all = Capability.HalfClose | Capability.ResetReason | Capability.Recut

describe("Connection: every state and every input (RFC 9293 §3.10)", () => {
  it("towards a peer that announced nothing", () => {
    expect(matrix({})).toMatchSnapshot()
  })

  it("towards a peer that announced everything (wire §17)", () => {
    expect(matrix(StreamConfig.announced(all))).toMatchSnapshot()
  })

  it("a reset is never answered, and neither is a FIN|ACK (wire §9.4)", () => {
    for (const config of [{}, StreamConfig.announced(all)])
      for (const [name, make] of Object.entries(states))
        for (const input of ["RST", "RST, aborted", "RST, no such stream", "FIN|ACK"]) {
          const connection = make(config)
          connection.drain(150)
          inputs[input]?.(connection, 150)
          const answers = connection.drain(150).filter(({ flags }) => (flags & 12) !== 0)
          assert.deepStrictEqual(answers, [], `${name}, ${input}`)
        }
  })
})
