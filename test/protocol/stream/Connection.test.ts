import { assert, describe, it } from "@effect/vitest"
import * as Connection from "../../../src/protocol/stream/Connection.ts"
import * as StreamConfig from "../../../src/protocol/stream/StreamConfig.ts"
import * as SackBlocks from "../../../src/protocol/wire/SackBlocks.ts"
import { type Line, play, text, type Written } from "../../support/StreamTranscript.ts"
import { hex } from "../../support/Vectors.ts"
import vectors from "../../vectors/wire.json" with { type: "json" }

const live = vectors.stream_live.sessions
const config = StreamConfig.defaults

const dialing = (options: Partial<StreamConfig.StreamConfig> = {}, sequence = 0) =>
  Connection.Connection.dialing(StreamConfig.make(options), sequence, 0)

const listening = (options: Partial<StreamConfig.StreamConfig> = {}, sequence = 0) =>
  Connection.Connection.listening(StreamConfig.make(options), sequence)

/** The reference's half of a recorded session, or its peer's: what we receive when we play the other one. */
const recorded = (
  steps: ReadonlyArray<{ dir: string; frame: string; seq: number; ack: number; window: number; flags: number }>,
  dir: string
): ReadonlyArray<Written> =>
  steps
    .filter((step) => step.dir === dir)
    .map(({ ack, flags, frame, seq, window }) => ({
      flags: [1, 2, 4, 8].map((bit, index) => ((flags & bit) !== 0 ? "SAFR"[index] : "")).join(""),
      seq,
      ack,
      window,
      payload: hex(frame).slice(HEADER_BYTES)
    }))

/** Magic and packet header. */
const HEADER_BYTES = 38

const opened: ReadonlyArray<Line> = [
  { atMs: 0, expect: [{ flags: "S" }] },
  { atMs: 10, receive: [{ flags: "SA", ack: 1, window: 512 }], expect: [{ flags: "A", seq: 1, ack: 1 }] }
]

const accepted: ReadonlyArray<Line> = [
  { atMs: 0, receive: [{ flags: "S", window: 512 }], expect: [{ flags: "SA", ack: 1 }] },
  { atMs: 10, receive: [{ flags: "A", seq: 1, ack: 1 }], expect: [] }
]

const open = (options: Partial<StreamConfig.StreamConfig> = {}) => {
  const connection = dialing(options)
  play(connection, opened)
  return connection
}

const accept = (options: Partial<StreamConfig.StreamConfig> = {}) => {
  const connection = listening(options)
  play(connection, accepted)
  return connection
}

const write = (bytes: Uint8Array) => (connection: Connection.Connection, nowMs: number) => {
  assert.strictEqual(connection.write(bytes, nowMs), bytes.length)
}

const readText = (connection: Connection.Connection): string => {
  let all = ""
  for (let piece = connection.read(); piece !== undefined; piece = connection.read()) {
    all += new TextDecoder().decode(piece)
  }
  return all
}

describe("Connection: opening", () => {
  it("runs the recorded echo session as initiator (wire §9.2, stream_live)", () => {
    const [synAck, echo] = recorded(live.echo_session.steps, "reference->peer")
    const connection = dialing()

    play(connection, [
      { atMs: 0, expect: [{ flags: "S" }] },
      { atMs: 1, receive: [synAck!], expect: [{ flags: "A", seq: 1, ack: 1 }] },
      { atMs: 2, call: write(text("hello")), expect: [{ flags: "A", seq: 1, ack: 1, payload: text("hello") }] },
      { atMs: 3, receive: [echo!], expect: [] },
      { atMs: 43, expect: [{ flags: "A", seq: 6, ack: 6 }] }
    ])

    assert.strictEqual(readText(connection), "hello")
    assert.strictEqual(connection.state, "established")
  })

  it("answers the recorded initiator as responder (stream_live)", () => {
    const [syn, ack, data] = recorded(live.echo_session.steps, "peer->reference")
    const connection = listening()

    play(connection, [
      { atMs: 0, receive: [syn!], expect: [{ flags: "SA", ack: 1 }] },
      { atMs: 1, receive: [ack!, data!], expect: [] },
      { atMs: 2, call: write(text("hello")), expect: [{ flags: "A", seq: 1, ack: 6, payload: text("hello") }] }
    ])
    assert.strictEqual(connection.state, "established")
  })

  it("repeats the SYN from 250 ms on, doubling to 2 s, and fails at the limit (rendezvous §9.6)", () => {
    const connection = dialing({ dialTimeoutMs: 10_000 })
    const times: Array<number> = []
    for (let nowMs = 0; connection.error === undefined; nowMs = connection.deadlineMs) {
      connection.timeout(nowMs)
      for (const segment of connection.drain(nowMs)) times.push(segment.flags === 1 ? nowMs : -nowMs)
    }

    assert.deepStrictEqual(times, [0, 250, 750, 1750, 3750, 5750, 7750, 9750, -10_000])
    assert.strictEqual(connection.error, "Timeout")
    assert.isTrue(connection.isClosed)
  })

  it("takes a reset of its SYN for refused (stream_live)", () => {
    const connection = dialing({}, 77)
    play(connection, [
      { atMs: 0, expect: [{ flags: "S", seq: 77 }] },
      { atMs: 1, receive: recorded(live.refused.steps, "reference->peer"), expect: [] }
    ])

    assert.strictEqual(connection.error, "Refused")
    assert.isTrue(connection.isClosed)
    assert.isFalse(connection.isReadEnded)
  })

  it("answers a repeated SYN with the original sequence after data was sent (wire §9.2)", () => {
    const connection = accept()

    play(connection, [
      { atMs: 20, call: write(text("hello")), expect: [{ flags: "A", seq: 1, ack: 1, payload: text("hello") }] },
      { atMs: 30, receive: [{ flags: "S", window: 512 }], expect: [{ flags: "SA", seq: 0, ack: 1 }] }
    ])
    assert.strictEqual(connection.state, "established")
  })

  it("acknowledges a repeated SYN-ACK again, whose acknowledgement was lost (RFC 9293 §3.10.7.4)", () => {
    play(open(), [
      { atMs: 20, receive: [{ flags: "SA", ack: 1, window: 512 }], expect: [{ flags: "A", seq: 1, ack: 1 }] }
    ])
  })

  it("resets what answers its SYN for another stream, and asks again, without a storm (RFC 9293 §3.10.7.3)", () => {
    const connection = dialing()
    const stale: Written = { flags: "SA", seq: 40, ack: 17, window: 512 }
    play(connection, [
      { atMs: 0, expect: [{ flags: "S" }] },
      { atMs: 1, receive: [stale], expect: [{ flags: "R" }, { flags: "S" }] },
      { atMs: 2, receive: [stale, stale], expect: [] },
      { atMs: 501, expect: [{ flags: "S" }] },
      { atMs: 502, receive: [stale, stale], expect: [{ flags: "R" }, { flags: "S" }] }
    ])

    assert.strictEqual(connection.state, "synSent")
  })

  it("repeats its SYN-ACK a few times when nothing answers it, and may send data at once (wire §9.2)", () => {
    const connection = listening()
    play(connection, [
      { atMs: 0, receive: [{ flags: "S", window: 512 }], expect: [{ flags: "SA", ack: 1 }] },
      { atMs: 1, call: write(text("x")), expect: [{ flags: "A", seq: 1, ack: 1, payload: text("x") }] },
      { atMs: 250, expect: [{ flags: "SA", ack: 1 }] },
      { atMs: 260, receive: [{ flags: "A", seq: 1, ack: 2 }], expect: [] }
    ])
    assert.strictEqual(connection.state, "established")
  })

  it("carries data across the wrap of the peer's sequence (stream_live)", () => {
    const [syn, data] = recorded(live.nonzero_isn_with_wrap.steps, "peer->reference")
    const connection = listening()

    play(connection, [
      { atMs: 0, receive: [syn!], expect: [{ flags: "SA", seq: 0, ack: 0xffff_ffff }] },
      { atMs: 1, receive: [data!], expect: [] },
      { atMs: 2, call: write(text("abcd")), expect: [{ flags: "A", seq: 1, ack: 3, payload: text("abcd") }] }
    ])
    assert.strictEqual(readText(connection), "abcd")
  })

  it("draws initial sequences far from an acknowledgement of 0 (wire §9.2)", () => {
    for (const random of [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]) {
      assert.isBelow(Connection.initialSequence(random), 2 ** 31)
      assert.isAtLeast(Connection.initialSequence(random), 0)
    }
  })

  it("takes the peer's sequence for 0 where it is known to be (wire §9.2)", () => {
    const [synAck] = recorded(live.duplicate_syn_after_data.steps, "reference->peer")
    const connection = dialing({ isPeerSequenceFromZero: true })

    play(connection, [
      { atMs: 0, expect: [{ flags: "S" }] },
      { atMs: 1, receive: [{ ...synAck!, ack: 1 }], expect: [{ flags: "A", seq: 1, ack: 1 }] }
    ])
  })
})

describe("Connection: data", () => {
  it("acknowledges one segment after 40 ms and two at once (wire §10.4, stream_live)", () => {
    const [first, second, third] = recorded(live.delayed_ack.steps, "peer->reference")

    play(accept(), [
      { atMs: 100, receive: [first!], expect: [] },
      { atMs: 139, expect: [] },
      { atMs: 140, expect: [{ flags: "A", seq: 1, ack: 2 }] },
      { atMs: 200, receive: [second!, third!], expect: [{ flags: "A", seq: 1, ack: 6 }] }
    ])
  })

  it("reports a segment beyond a hole at once with the recorded SACK payload (wire §10.4, stream_live)", () => {
    const [late, filling] = recorded(live.out_of_order.steps, "peer->reference")
    const [sack] = recorded(live.out_of_order.steps, "reference->peer")
    const connection = accept()

    play(connection, [
      {
        atMs: 20,
        receive: [{ flags: "A", seq: 1, ack: 1, payload: text("ABCDE") }, late!],
        expect: [{ flags: "A", seq: 1, ack: 6, payload: sack!.payload! }]
      },
      { atMs: 30, receive: [filling!], expect: [{ flags: "A", seq: 1, ack: 16 }] }
    ])
    assert.strictEqual(readText(connection), "ABCDEFGHIJKLMNO")
  })

  it("helps a reference sender by three empty duplicates at the third arrival beyond a hole (wire §10.4)", () => {
    const beyond = (index: number): Written => ({ flags: "A", seq: 11 + index, ack: 1, payload: text("x") })
    const sack = (right: number) => SackBlocks.encode([{ left: 11, right }])
    const empty: Written = { flags: "A", seq: 1, ack: 1 }

    play(accept(), [
      { atMs: 20, receive: [beyond(0)], expect: [{ flags: "A", seq: 1, ack: 1, payload: sack(12) }] },
      { atMs: 21, receive: [beyond(1)], expect: [{ flags: "A", seq: 1, ack: 1, payload: sack(13) }] },
      {
        atMs: 22,
        receive: [beyond(2)],
        expect: [{ flags: "A", seq: 1, ack: 1, payload: sack(14) }, empty, empty, empty]
      },
      { atMs: 23, receive: [beyond(3)], expect: [{ flags: "A", seq: 1, ack: 1, payload: sack(15) }] }
    ])
  })

  it("counts SACK-bearing acknowledgements as duplicates and resends the hole at the third (wire §10.4)", () => {
    const connection = open({ noDelay: true })
    const data = (index: number): Written => ({ flags: "A", seq: 1 + index, ack: 1, payload: text("abcdef"[index]!) })
    const sack = (right: number): Written => ({
      flags: "A",
      seq: 1,
      ack: 1,
      payload: SackBlocks.encode([{ left: 2, right }])
    })

    for (let index = 0; index < 5; index++) {
      play(connection, [{ atMs: 20, call: write(text("abcdef"[index]!)), expect: [data(index)] }])
    }
    play(connection, [
      { atMs: 30, receive: [sack(3)], expect: [] },
      { atMs: 30.1, receive: [sack(4)], expect: [] },
      { atMs: 30.2, receive: [sack(5)], expect: [data(0)] },
      { atMs: 30.3, receive: [sack(6)], expect: [] }
    ])
    assert.strictEqual(connection.stats.fastRetransmits, 1)
  })

  it("resends after three empty duplicates where the peer sends no SACK (RFC 5681 §3.2)", () => {
    const connection = open({ noDelay: true })
    const duplicate: Written = { flags: "A", seq: 1, ack: 1 }

    play(connection, [
      { atMs: 20, call: write(text("a")), expect: [{ flags: "A", seq: 1, ack: 1, payload: text("a") }] },
      { atMs: 20, call: write(text("b")), expect: [{ flags: "A", seq: 2, ack: 1, payload: text("b") }] },
      { atMs: 30, receive: [duplicate, duplicate], expect: [] },
      { atMs: 31, receive: [duplicate], expect: [{ flags: "A", seq: 1, ack: 1, payload: text("a") }] }
    ])
  })

  it("holds a short segment while anything is unacknowledged, but not for long (wire §10.1: Nagle)", () => {
    play(open(), [
      { atMs: 20, call: write(text("a")), expect: [{ flags: "A", seq: 1, ack: 1, payload: text("a") }] },
      { atMs: 21, call: write(text("b")), expect: [] },
      { atMs: 22, call: write(text("c")), expect: [] },
      { atMs: 61, expect: [{ flags: "A", seq: 2, ack: 1, payload: text("bc") }] }
    ])
  })

  it("sends user data that looks like SACK in two segments (wire §10.1)", () => {
    const payload = hex("5341434b010000000100000002")

    play(open({ noDelay: true }), [
      {
        atMs: 20,
        call: write(payload),
        expect: [
          { flags: "A", seq: 1, ack: 1, payload: payload.slice(0, 4) },
          { flags: "A", seq: 5, ack: 1, payload: payload.slice(4) }
        ]
      }
    ])
  })

  it("resends by the doubling timeout and gives a silent peer up after 30 s, not before (wire §10.5)", () => {
    const connection = open()
    play(connection, [
      { atMs: 20, call: write(text("a")), expect: [{ flags: "A", seq: 1, ack: 1, payload: text("a") }] }
    ])
    const gaps: Array<number> = []
    let lastMs = 20
    while (connection.error === undefined) {
      const nowMs = connection.deadlineMs
      connection.timeout(nowMs)
      for (const { payload } of connection.drain(nowMs)) {
        if (payload.length > 0) gaps.push(nowMs - lastMs)
        lastMs = nowMs
      }
    }

    assert.isAtLeast(lastMs, 30_000)
    assert.isAtMost(lastMs, 41_000)
    assert.strictEqual(connection.error, "Timeout")
    assert.deepStrictEqual(
      gaps.slice(1),
      gaps.slice(1).toSorted((a, b) => a - b)
    )
  })

  it("measures no round trip by what was sent twice (Karn; RFC 6298 §3)", () => {
    const connection = open()
    play(connection, [
      { atMs: 20, call: write(text("a")), expect: [{ flags: "A", seq: 1, ack: 1, payload: text("a") }] }
    ])
    const before = connection.stats.smoothedRttMs
    const againAtMs = connection.deadlineMs
    connection.timeout(againAtMs)
    assert.lengthOf(connection.drain(againAtMs), 1)
    play(connection, [{ atMs: againAtMs + 900, receive: [{ flags: "A", seq: 1, ack: 2 }], expect: [] }])

    assert.strictEqual(connection.stats.smoothedRttMs, before)
  })

  it("ignores an acknowledgement of what it never sent", () => {
    const connection = open()
    play(connection, [
      { atMs: 20, call: write(text("a")), expect: [{ flags: "A", seq: 1, ack: 1, payload: text("a") }] },
      { atMs: 21, receive: [{ flags: "A", seq: 1, ack: 5000 }], expect: [] }
    ])

    assert.strictEqual(connection.stats.unackedSegments, 1)
  })

  it("does not take a reference's keepalive, whose window is 0, for a closed window (wire §10.3, §10.7)", () => {
    const connection = open()
    play(connection, [
      { atMs: 20, receive: [{ flags: "A", seq: 1, ack: 1, window: 0 }], expect: [] },
      { atMs: 21, call: write(text("a")), expect: [{ flags: "A", seq: 1, ack: 1, payload: text("a") }] }
    ])
  })

  it("stops at a window of 0 that acknowledges data, and probes (wire §10.3)", () => {
    const connection = open()
    const closed: Written = { flags: "A", seq: 1, ack: 2, window: 0 }

    play(connection, [
      { atMs: 20, call: write(text("a")), expect: [{ flags: "A", seq: 1, ack: 1, payload: text("a") }] },
      { atMs: 30, receive: [closed], expect: [] },
      { atMs: 31, call: write(text("b")), expect: [] },
      { atMs: 531, expect: [{ flags: "A", seq: 2, ack: 1 }] },
      { atMs: 1531, expect: [{ flags: "A", seq: 2, ack: 1 }] },
      { atMs: 3531, expect: [{ flags: "A", seq: 2, ack: 1, payload: text("b") }] }
    ])
  })

  it("sends no more segments than the peer's window has slots (wire §10.2)", () => {
    const connection = dialing({ noDelay: true })
    play(connection, [
      { atMs: 0, expect: [{ flags: "S" }] },
      { atMs: 1, receive: [{ flags: "SA", ack: 1, window: 2 }], expect: [{ flags: "A", seq: 1, ack: 1 }] }
    ])
    for (const letter of "abcd") connection.write(text(letter), 2)
    connection.write(new Uint8Array(5000), 2)

    assert.strictEqual(connection.drain(2).length, 2)
  })

  it("sends nothing new when the window shrinks, but repairs what was sent before (RFC 9293 §3.8.6)", () => {
    const connection = open({ noDelay: true })
    const data = (letter: string, seq: number): Written => ({ flags: "A", seq, ack: 1, payload: text(letter) })
    const sack = SackBlocks.encode([{ left: 2, right: 4 }])
    for (const [index, letter] of [..."abc"].entries())
      play(connection, [{ atMs: 20, call: write(text(letter)), expect: [data(letter, 1 + index)] }])
    play(connection, [
      { atMs: 30, receive: [{ flags: "A", seq: 1, ack: 1, window: 1, payload: sack }], expect: [] },
      { atMs: 31, call: write(text("d")), expect: [] },
      { atMs: 40, expect: [data("a", 1)] },
      { atMs: 50, receive: [{ flags: "A", seq: 1, ack: 4, window: 1 }], expect: [data("d", 4)] }
    ])
  })

  it("never advertises a window of 0, and tells when it reopens (wire §10.3)", () => {
    const connection = accept({ receiveBytesMax: 20, segmentBytesMax: 10, peerSlotBytes: 10 })
    const data = (index: number): Written => ({ flags: "A", seq: 1 + 10 * index, ack: 1, payload: new Uint8Array(10) })
    const held = SackBlocks.encode([{ left: 21, right: 31 }])

    play(connection, [
      { atMs: 20, receive: [data(0), data(1)], expect: [{ flags: "A", seq: 1, ack: 21, window: 1 }] },
      { atMs: 30, receive: [data(2)], expect: [{ flags: "A", seq: 1, ack: 21, window: 1, payload: held }] },
      { atMs: 40, call: (self) => self.read(), expect: [{ flags: "A", seq: 1, ack: 31, window: 1 }] },
      { atMs: 50, call: readText, expect: [{ flags: "A", seq: 1, ack: 31, window: 2 }] }
    ])
  })

  it("answers a window probe while its window is 1, ever more rarely, and no other empty ACK (wire §10.3)", () => {
    const probe: Written = { flags: "A", seq: 11, ack: 1 }
    const answer: Written = { flags: "A", seq: 1, ack: 11, window: 1 }
    const connection = accept({ receiveBytesMax: 10, segmentBytesMax: 10, peerSlotBytes: 10 })

    play(accept(), [{ atMs: 20, receive: [{ flags: "A", seq: 1, ack: 1 }], expect: [] }])
    play(connection, [
      { atMs: 20, receive: [{ flags: "A", seq: 1, ack: 1, payload: new Uint8Array(10) }], expect: [] },
      { atMs: 60, expect: [answer] },
      { atMs: 500, receive: [probe], expect: [answer] },
      { atMs: 600, receive: [probe], expect: [] },
      { atMs: 1000, receive: [probe], expect: [answer] },
      { atMs: 1500, receive: [probe], expect: [] }
    ])
  })
})

describe("Connection: closing", () => {
  it("answers a FIN by one FIN|ACK and a FIN|ACK by nothing, whatever is repeated (wire §9.4, stream_live)", () => {
    const [finAck] = recorded(live.fin_storm.steps, "reference->peer")
    const connection = accept()
    play(connection, [
      { atMs: 20, receive: [{ flags: "F", seq: 1 }], expect: [{ flags: "FA", seq: 1, ack: 2 }] },
      {
        atMs: 21,
        receive: [
          { flags: "F", seq: 1 },
          { flags: "F", seq: 1 }
        ],
        expect: []
      }
    ])
    for (let nowMs = 22; nowMs < 42; nowMs++) play(connection, [{ atMs: nowMs, receive: [finAck!], expect: [] }])

    assert.isTrue(connection.isReadEnded)
    assert.strictEqual(connection.state, "timeWait")
    play(connection, [{ atMs: 270, receive: [{ flags: "F", seq: 1 }], expect: [{ flags: "FA", seq: 1, ack: 2 }] }])
  })

  it("sends its FIN when everything is acknowledged, and is done at the reference's FIN|ACK (wire §9.4)", () => {
    const connection = open()
    play(connection, [
      { atMs: 20, call: write(text("a")), expect: [{ flags: "A", seq: 1, ack: 1, payload: text("a") }] },
      { atMs: 21, call: (self, nowMs) => self.close(nowMs), expect: [] },
      { atMs: 30, receive: [{ flags: "A", seq: 1, ack: 2 }], expect: [{ flags: "F", seq: 2 }] },
      { atMs: 40, receive: [{ flags: "FA", seq: 1, ack: 3 }], expect: [] }
    ])

    assert.strictEqual(connection.state, "timeWait")
    assert.strictEqual(connection.deadlineMs, 10_030)
    connection.timeout(10_030)
    assert.isTrue(connection.isClosed)
    assert.isUndefined(connection.error)
  })

  it("repeats its FIN after 250 ms, doubling, five times, and then stops waiting (wire §9.4)", () => {
    const connection = open()
    connection.close(100)
    const times: Array<number> = []
    for (let nowMs = 100; !connection.isClosed; nowMs = connection.deadlineMs) {
      connection.timeout(nowMs)
      for (const segment of connection.drain(nowMs)) {
        assert.strictEqual(segment.flags, 4)
        times.push(nowMs)
      }
    }

    assert.deepStrictEqual(times, [100, 350, 850, 1850, 3850, 7850])
  })

  it("holds a FIN until the data before it is there (wire §9.4)", () => {
    const connection = accept()
    play(connection, [
      { atMs: 20, receive: [{ flags: "F", seq: 4 }], expect: [{ flags: "A", seq: 1, ack: 1 }] },
      {
        atMs: 30,
        receive: [{ flags: "A", seq: 1, ack: 1, payload: text("abc") }],
        expect: [{ flags: "FA", seq: 1, ack: 5 }]
      }
    ])

    assert.strictEqual(readText(connection), "abc")
    assert.isTrue(connection.isReadEnded)
  })

  it("stops holding after a few seconds and says that the stream was cut (wire §9.4)", () => {
    const connection = accept()
    play(connection, [
      { atMs: 20, receive: [{ flags: "F", seq: 4 }], expect: [{ flags: "A", seq: 1, ack: 1 }] },
      { atMs: 5020, expect: [{ flags: "FA", seq: 1, ack: 5 }] }
    ])

    assert.strictEqual(connection.error, "Truncated")
    assert.isFalse(connection.isReadEnded)
  })

  it("delivers what waits for a slow reader although the FIN has come", () => {
    const connection = accept({ receiveBytesMax: 10, segmentBytesMax: 10, peerSlotBytes: 10 })
    connection.receive({ flags: 2, sequence: 1, acknowledgement: 1, window: 9, payload: text("0123456789") }, 20)
    connection.receive({ flags: 2, sequence: 11, acknowledgement: 1, window: 9, payload: text("abcdefghij") }, 21)
    connection.receive({ flags: 4, sequence: 21, acknowledgement: 0, window: 0, payload: text("") }, 22)

    assert.isTrue(connection.isReadEnded)
    assert.strictEqual(readText(connection), "0123456789abcdefghij")
  })

  it("makes way for a new stream when a SYN comes in TIME_WAIT (wire §9.2)", () => {
    const connection = accept()
    play(connection, [
      { atMs: 20, receive: [{ flags: "F", seq: 1 }], expect: [{ flags: "FA", seq: 1, ack: 2 }] },
      { atMs: 500, receive: [{ flags: "S", seq: 9, window: 512 }], expect: [] }
    ])

    assert.isTrue(connection.isClosed)
    assert.isTrue(connection.isReadEnded)
  })

  it("ends both directions at a FIN (wire §9.4)", () => {
    const connection = accept()
    play(connection, [{ atMs: 20, receive: [{ flags: "F", seq: 1 }], expect: [{ flags: "FA", seq: 1, ack: 2 }] }])

    assert.strictEqual(connection.write(text("x"), 21), 0)
    assert.strictEqual(connection.writableBytes, 0)
  })

  it("dies of a reset and answers it with nothing (wire §9.4)", () => {
    const connection = open()
    play(connection, [{ atMs: 20, receive: [{ flags: "R" }], expect: [] }])

    assert.strictEqual(connection.error, "Reset")
    assert.isTrue(connection.isClosed)
    assert.strictEqual(connection.deadlineMs, Number.POSITIVE_INFINITY)
  })

  it("sends one RST with all numbers 0 when it is reset, and is closed then (wire §9.4)", () => {
    const connection = open()
    connection.reset()
    connection.reset()

    assert.isFalse(connection.isClosed)
    play(connection, [{ atMs: 20, expect: [{ flags: "R", window: 0 }] }])
    assert.isTrue(connection.isClosed)
    assert.strictEqual(connection.error, "Aborted")
  })

  it("gives up a dial that is closed, and tells the peer, which may have taken the SYN", () => {
    const connection = dialing()
    play(connection, [
      { atMs: 0, expect: [{ flags: "S" }] },
      { atMs: 1, call: (self, nowMs) => self.close(nowMs), expect: [{ flags: "R" }] }
    ])

    assert.isTrue(connection.isClosed)
  })

  it("ends one direction only where both ends announced half-close (wire §17)", () => {
    const connection = accept({ isHalfClose: true })
    play(connection, [
      { atMs: 20, receive: [{ flags: "F", seq: 1 }], expect: [{ flags: "A", seq: 1, ack: 2 }] },
      { atMs: 30, call: write(text("still")), expect: [{ flags: "A", seq: 1, ack: 2, payload: text("still") }] },
      { atMs: 40, receive: [{ flags: "A", seq: 2, ack: 6 }], expect: [] },
      { atMs: 50, call: (self, nowMs) => self.close(nowMs), expect: [{ flags: "F", seq: 6 }] }
    ])
    assert.isTrue(connection.isReadEnded)
    assert.strictEqual(connection.state, "finWait")

    play(connection, [{ atMs: 60, receive: [{ flags: "A", seq: 2, ack: 7 }], expect: [] }])
    assert.strictEqual(connection.state, "timeWait")
  })

  it("counts the peer's FIN once, however often and in whatever form it comes (wire §9.4, §17)", () => {
    const connection = accept({ isHalfClose: true })
    play(connection, [
      { atMs: 20, receive: [{ flags: "F", seq: 1 }], expect: [{ flags: "A", seq: 1, ack: 2 }] },
      { atMs: 30, receive: [{ flags: "F", seq: 1 }], expect: [{ flags: "A", seq: 1, ack: 2 }] },
      { atMs: 40, receive: [{ flags: "AF", seq: 1, ack: 1 }], expect: [{ flags: "A", seq: 1, ack: 2 }] }
    ])
    assert.strictEqual(connection.state, "closeWait")
  })
})

describe("Connection: liveness", () => {
  it("sends an empty ACK with its real window every 30 s and closes at 120 s of silence (wire §10.7)", () => {
    const connection = open()
    const sent: Array<readonly [number, number, boolean]> = []
    while (connection.state === "established") {
      const nowMs = connection.deadlineMs
      connection.timeout(nowMs)
      for (const { flags, window } of connection.drain(nowMs)) sent.push([nowMs, flags, window > 0])
    }

    assert.deepStrictEqual(sent, [
      [30_010, 2, true],
      [60_010, 2, true],
      [90_010, 2, true],
      [120_010, 4, false]
    ])
    assert.strictEqual(connection.error, "Timeout")
  })

  it("lives on a peer's keepalives for as long as they come (wire §10.7)", () => {
    const connection = open()
    for (let nowMs = 10_000; nowMs < 600_000; nowMs += 10_000) {
      connection.timeout(nowMs)
      connection.drain(nowMs)
      if (nowMs % 40_000 === 0) {
        connection.receive({ flags: 2, sequence: 1, acknowledgement: 1, window: 0, payload: text("") }, nowMs)
      }
    }

    assert.strictEqual(connection.state, "established")
  })

  it("has nothing due while idle but the keepalive", () => {
    assert.strictEqual(open().deadlineMs, 10 + config.keepaliveMs)
  })
})
