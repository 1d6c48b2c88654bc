import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import * as Connection from "../../../src/protocol/stream/Connection.ts"
import * as StreamConfig from "../../../src/protocol/stream/StreamConfig.ts"
import { Capability } from "../../../src/protocol/wire/Announcement.ts"
import * as ResetReason from "../../../src/protocol/wire/ResetReason.ts"
import * as SackBlocks from "../../../src/protocol/wire/SackBlocks.ts"
import * as Arb from "../../support/Arbitraries.ts"
import { cleanLink, isSame, pattern, StreamPair } from "../../support/StreamPair.ts"
import { type Line, play, text, type Written } from "../../support/StreamTranscript.ts"

/** Both ends have announced all that a stream can use. */
const both = StreamConfig.announced(Capability.HalfClose | Capability.ResetReason | Capability.Recut)

const opened: ReadonlyArray<Line> = [
  { atMs: 0, expect: [{ flags: "S" }] },
  { atMs: 10, receive: [{ flags: "SA", ack: 1, window: 512 }], expect: [{ flags: "A", seq: 1, ack: 1 }] }
]

const accepted: ReadonlyArray<Line> = [
  { atMs: 0, receive: [{ flags: "S", window: 512 }], expect: [{ flags: "SA", ack: 1 }] },
  { atMs: 10, receive: [{ flags: "A", seq: 1, ack: 1 }], expect: [] }
]

const open = (options: Partial<StreamConfig.StreamConfig> = {}) => {
  const connection = Connection.Connection.dialing(StreamConfig.make(options), 0, 0)
  play(connection, opened)
  return connection
}

const accept = (options: Partial<StreamConfig.StreamConfig> = {}) => {
  const connection = Connection.Connection.listening(StreamConfig.make(options), 0)
  play(connection, accepted)
  return connection
}

const end = (connection: Connection.Connection, nowMs: number) => connection.end(nowMs)
const close = (connection: Connection.Connection, nowMs: number) => connection.close(nowMs)
const write = (value: string) => (connection: Connection.Connection, nowMs: number) => {
  assert.strictEqual(connection.write(text(value), nowMs), value.length)
}
const reset = (reason: ResetReason.ResetReason): Written => ({ flags: "R", payload: ResetReason.encode(reason) })

const readText = (connection: Connection.Connection): string => {
  let all = ""
  for (let piece = connection.read(); piece !== undefined; piece = connection.read()) {
    all += new TextDecoder().decode(piece)
  }
  return all
}

/** Our FIN is out and acknowledged; the peer may go on. */
const halfClosed = () => {
  const connection = open(both)
  play(connection, [
    { atMs: 20, call: end, expect: [{ flags: "F", seq: 1 }] },
    { atMs: 30, receive: [{ flags: "A", seq: 1, ack: 2 }], expect: [] }
  ])
  return connection
}

describe("Ending: half-close (wire §17 bit 0)", () => {
  it("goes on reading after its own end, until the peer's", () => {
    const connection = halfClosed()
    assert.strictEqual(connection.write(text("late"), 31), 0)

    play(connection, [
      { atMs: 40, receive: [{ flags: "A", seq: 1, ack: 2, payload: text("answer") }], expect: [] },
      { atMs: 50, receive: [{ flags: "F", seq: 7 }], expect: [{ flags: "FA", seq: 2, ack: 8 }] }
    ])

    assert.strictEqual(readText(connection), "answer")
    assert.isTrue(connection.isReadEnded)
    assert.strictEqual(connection.state, "timeWait")
    assert.isUndefined(connection.error)
  })

  it("goes on sending after the peer's end, and is over when its own end is acknowledged", () => {
    const connection = accept(both)
    play(connection, [
      { atMs: 20, receive: [{ flags: "F", seq: 1 }], expect: [{ flags: "A", seq: 1, ack: 2 }] },
      { atMs: 30, call: write("still"), expect: [{ flags: "A", seq: 1, ack: 2, payload: text("still") }] },
      { atMs: 40, receive: [{ flags: "A", seq: 2, ack: 6 }], expect: [] },
      { atMs: 50, call: end, expect: [{ flags: "F", seq: 6 }] },
      { atMs: 60, receive: [{ flags: "A", seq: 2, ack: 7 }], expect: [] }
    ])

    assert.isTrue(connection.isReadEnded)
    assert.strictEqual(connection.state, "timeWait")
  })

  it("answers the peer's end and gives its own in one FIN|ACK where the program ends at once", () => {
    const connection = accept(both)
    play(connection, [
      { atMs: 20, receive: [{ flags: "F", seq: 1 }], call: end, expect: [{ flags: "FA", seq: 1, ack: 2 }] },
      // It was lost.
      { atMs: 270, receive: [{ flags: "F", seq: 1 }], expect: [{ flags: "FA", seq: 1, ack: 2 }] }
    ])

    assert.isTrue(connection.isReadEnded)
    assert.strictEqual(connection.state, "timeWait")
    assert.isUndefined(connection.error)
  })

  it("acknowledges the peer's end by itself while its own data is not acknowledged", () => {
    const connection = accept(both)
    play(connection, [
      { atMs: 15, call: write("late"), expect: [{ flags: "A", seq: 1, ack: 1, payload: text("late") }] },
      {
        atMs: 20,
        receive: [{ flags: "F", seq: 1 }],
        call: end,
        expect: [
          { flags: "A", seq: 5, ack: 2 },
          { flags: "F", seq: 5 }
        ]
      },
      { atMs: 30, receive: [{ flags: "A", seq: 2, ack: 6 }], expect: [] }
    ])

    assert.strictEqual(connection.state, "timeWait")
  })

  it("repeats its FIN like data, and fails a reader who waits in vain instead of calling that an end", () => {
    const connection = open(both)
    connection.end(100)
    const times: Array<number> = []
    let nowMs = 100
    for (; connection.error === undefined; nowMs = connection.deadlineMs) {
      connection.timeout(nowMs)
      for (const segment of connection.drain(nowMs)) if (segment.flags === 4) times.push(nowMs)
    }

    assert.deepStrictEqual(times, [100, 350, 850, 1850, 3850, 7850, 15_850, 25_850])
    assert.strictEqual(connection.error, "Timeout")
    assert.isFalse(connection.isReadEnded)
  })

  it("understands a peer that ends both directions, because it has not seen the announcement", () => {
    const connection = open(both)
    play(connection, [
      { atMs: 20, call: end, expect: [{ flags: "F", seq: 1 }] },
      { atMs: 30, receive: [{ flags: "FA", seq: 1, ack: 2 }], expect: [] }
    ])

    assert.isTrue(connection.isReadEnded)
    assert.strictEqual(connection.state, "timeWait")
  })

  it("tells a reader that something is missing before the answer to its end", () => {
    const connection = open()
    play(connection, [
      { atMs: 20, call: end, expect: [{ flags: "F", seq: 1 }] },
      { atMs: 30, receive: [{ flags: "FA", seq: 9, ack: 2 }], expect: [] }
    ])

    assert.strictEqual(connection.error, "Truncated")
    assert.isFalse(connection.isReadEnded)
  })

  it("understands a peer that goes on although its announcement was not seen", () => {
    const connection = open()
    play(connection, [
      { atMs: 20, call: end, expect: [{ flags: "F", seq: 1 }] },
      { atMs: 30, receive: [{ flags: "A", seq: 1, ack: 2 }], expect: [] },
      { atMs: 900, receive: [{ flags: "A", seq: 1, ack: 2, payload: text("answer") }], expect: [] },
      { atMs: 940, expect: [{ flags: "A", seq: 2, ack: 7 }] },
      { atMs: 950, receive: [{ flags: "F", seq: 7 }], expect: [{ flags: "FA", seq: 2, ack: 8 }] }
    ])

    assert.strictEqual(readText(connection), "answer")
    assert.isTrue(connection.isReadEnded)
  })

  it("ends both directions towards a peer that announced nothing (wire §9.4)", () => {
    const connection = accept()
    play(connection, [{ atMs: 20, receive: [{ flags: "F", seq: 1 }], expect: [{ flags: "FA", seq: 1, ack: 2 }] }])
    assert.strictEqual(connection.write(text("x"), 21), 0)
  })

  it("answers the peer's repeated FIN after both ends, without a storm", () => {
    const connection = halfClosed()
    play(connection, [
      { atMs: 50, receive: [{ flags: "F", seq: 1 }], expect: [{ flags: "FA", seq: 2, ack: 2 }] },
      {
        atMs: 300,
        receive: [
          { flags: "F", seq: 1 },
          { flags: "F", seq: 1 }
        ],
        expect: [{ flags: "FA", seq: 2, ack: 2 }]
      },
      { atMs: 310, receive: [{ flags: "FA", seq: 1, ack: 2 }], expect: [] }
    ])
  })

  it("is in TIME_WAIT for ten seconds from the first FIN, whatever is repeated (wire §9.4, RFC 9293 §3.6.1)", () => {
    const connection = accept()
    play(connection, [{ atMs: 20, receive: [{ flags: "F", seq: 1 }], expect: [{ flags: "FA", seq: 1, ack: 2 }] }])
    for (let nowMs = 1_000; nowMs < 10_020; nowMs += 1_000)
      play(connection, [{ atMs: nowMs, receive: [{ flags: "F", seq: 1 }], expect: [{ flags: "FA", seq: 1, ack: 2 }] }])
    assert.strictEqual(connection.deadlineMs, 10_020)
    connection.timeout(10_020)
    assert.isTrue(connection.isClosed)
  })

  it("counts TIME_WAIT from the second end where the first was long ago, or the last FIN would go unanswered", () => {
    const connection = halfClosed()
    play(connection, [
      { atMs: 25_000, receive: [{ flags: "F", seq: 1 }], expect: [{ flags: "FA", seq: 2, ack: 2 }] },
      { atMs: 33_000, receive: [{ flags: "F", seq: 1 }], expect: [{ flags: "FA", seq: 2, ack: 2 }] }
    ])
    // The peer had not heard the answer: until its next repeat, and ten seconds (RFC 9293 §3.10.7.4).
    assert.strictEqual(connection.deadlineMs, 53_000)
  })

  it("sends its FIN right behind its last data, without waiting a round trip for the acknowledgement", () => {
    const connection = open(both)
    play(connection, [
      {
        atMs: 20,
        call: (self, nowMs) => {
          write("bye")(self, nowMs)
          end(self, nowMs)
        },
        expect: [
          { flags: "A", seq: 1, ack: 1, payload: text("bye") },
          { flags: "F", seq: 4 }
        ]
      },
      { atMs: 30, receive: [{ flags: "A", seq: 1, ack: 5 }], expect: [] }
    ])
    assert.strictEqual(connection.state, "finWait")
  })

  for (const [name, first] of [
    ["the peer's end", []],
    ["a repeat of the peer's end, whose acknowledgement was lost,", [{ flags: "A", seq: 2, ack: 2 }]]
  ] as const)
    it(`answers ${name} where the acknowledgement of its own comes right behind`, () => {
      const connection = open(both)
      play(connection, [
        { atMs: 20, call: end, expect: [{ flags: "F", seq: 1 }] },
        ...(first.length === 0 ? [] : [{ atMs: 25, receive: [{ flags: "F", seq: 1 }], expect: first }]),
        {
          atMs: 30,
          receive: [
            { flags: "F", seq: 1 },
            { flags: "A", seq: 2, ack: 2 }
          ],
          expect: [{ flags: "FA", seq: 2, ack: 2 }]
        }
      ])

      assert.strictEqual(connection.state, "timeWait")
      assert.isUndefined(connection.error)
    })

  it("waits with its FIN while the peer's window holds data back", () => {
    const connection = open(both)
    const segment = new Uint8Array(1121)
    play(connection, [
      { atMs: 20, receive: [{ flags: "A", seq: 1, ack: 1, window: 1 }], expect: [] },
      {
        atMs: 21,
        call: (self, nowMs) => {
          self.write(segment, nowMs)
          write("more")(self, nowMs)
          end(self, nowMs)
        },
        expect: [{ flags: "A", seq: 1, ack: 1, payload: segment }]
      },
      {
        atMs: 30,
        receive: [{ flags: "A", seq: 1, ack: 1122, window: 9 }],
        expect: [
          { flags: "A", seq: 1122, ack: 1, payload: text("more") },
          { flags: "F", seq: 1126 }
        ]
      }
    ])
  })

  it("keeps its FIN until everything is acknowledged where nobody announced to hold it (wire §9.4)", () => {
    for (const partly of [{}, { ...both, isHalfClose: false }, { ...both, hasResetReasons: false }]) {
      const connection = open(partly)
      play(connection, [
        { atMs: 20, call: write("bye"), expect: [{ flags: "A", seq: 1, ack: 1, payload: text("bye") }] },
        { atMs: 21, call: end, expect: [] },
        { atMs: 30, receive: [{ flags: "A", seq: 1, ack: 4 }], expect: [{ flags: "F", seq: 4 }] }
      ])
    }
  })

  it("repeats the data and not the FIN while data is missing, and then the FIN for as long as any data", () => {
    const connection = open({ ...both, lingerMs: 60_000, giveUpMs: 30_000 })
    play(connection, [{ atMs: 20, call: write("bye"), expect: [{ flags: "A", seq: 1, ack: 1, payload: text("bye") }] }])
    play(connection, [{ atMs: 20, call: end, expect: [{ flags: "F", seq: 4 }] }])
    const flags = new Set<number>()
    let nowMs = 20
    const runUntil = (untilMs: number) => {
      for (; connection.deadlineMs <= untilMs && connection.error === undefined; ) {
        nowMs = Math.max(nowMs, connection.deadlineMs)
        connection.timeout(nowMs)
        for (const segment of connection.drain(nowMs)) flags.add(segment.flags)
      }
    }
    runUntil(20_000)
    assert.deepStrictEqual([...flags], [2])

    flags.clear()
    connection.receive({ flags: 2, sequence: 1, acknowledgement: 4, window: 9, payload: text("") }, 20_000)
    runUntil(49_000)
    assert.isUndefined(connection.error)
    assert.isTrue(flags.has(4))
    runUntil(90_000)
    assert.strictEqual(connection.error, "Timeout")
  })

  it("answers data that is repeated after both ends, whose acknowledgement was lost", () => {
    const connection = open(both)
    play(connection, [
      { atMs: 20, call: end, expect: [{ flags: "F", seq: 1 }] },
      { atMs: 30, receive: [{ flags: "A", seq: 1, ack: 2 }], expect: [] },
      {
        atMs: 40,
        receive: [
          { flags: "A", seq: 1, ack: 2, payload: text("last") },
          { flags: "F", seq: 5 }
        ],
        expect: [{ flags: "FA", seq: 2, ack: 6 }]
      },
      {
        atMs: 400,
        receive: [
          { flags: "A", seq: 1, ack: 2, payload: text("la") },
          { flags: "A", seq: 3, ack: 2, payload: text("st") }
        ],
        expect: [{ flags: "FA", seq: 2, ack: 6 }]
      }
    ])
    assert.strictEqual(readText(connection), "last")
    assert.isUndefined(connection.error)
  })

  it("does not take a forgotten stream for an ordinary end while its data is unacknowledged", () => {
    const connection = accept(both)
    play(connection, [
      { atMs: 20, receive: [{ flags: "F", seq: 1 }], expect: [{ flags: "A", seq: 1, ack: 2 }] },
      { atMs: 30, call: write("bye"), expect: [{ flags: "A", seq: 1, ack: 2, payload: text("bye") }] },
      { atMs: 31, call: close, expect: [{ flags: "F", seq: 4 }] },
      { atMs: 40, receive: [reset("NoConnection")], expect: [] }
    ])
    assert.strictEqual(connection.error, "Restarted")
  })

  it("is over without error when both have ended and only the last acknowledgement never comes", () => {
    const connection = accept({ ...both, giveUpMs: 500_000 })
    play(connection, [
      { atMs: 20, receive: [{ flags: "F", seq: 1 }], expect: [{ flags: "A", seq: 1, ack: 2 }] },
      { atMs: 30, call: end, expect: [{ flags: "F", seq: 1 }] }
    ])
    for (let nowMs = connection.deadlineMs; !connection.isClosed; nowMs = connection.deadlineMs) {
      connection.timeout(nowMs)
      connection.drain(nowMs)
    }
    assert.isUndefined(connection.error)
  })

  it("takes a reader who has gone out of the way of a peer that goes on, after its own data arrived", () => {
    const connection = open(both)
    play(connection, [
      { atMs: 20, call: write("bye"), expect: [{ flags: "A", seq: 1, ack: 1, payload: text("bye") }] },
      { atMs: 21, call: close, expect: [{ flags: "F", seq: 4 }] },
      { atMs: 22, receive: [{ flags: "A", seq: 1, ack: 1, payload: text("early") }], expect: [] },
      { atMs: 30, receive: [{ flags: "A", seq: 6, ack: 4 }], expect: [] },
      { atMs: 40, receive: [{ flags: "A", seq: 6, ack: 5 }], expect: [] },
      {
        atMs: 50,
        receive: [{ flags: "A", seq: 1, ack: 5, payload: text("early") }],
        expect: [{ flags: "A", seq: 5, ack: 6 }]
      },
      { atMs: 60, receive: [{ flags: "A", seq: 6, ack: 5, payload: text("more") }], expect: [reset("Closed")] }
    ])

    assert.isTrue(connection.isClosed)
    assert.isUndefined(connection.error)
  })

  it("waits for a silent peer's end ten seconds after `close`, and lets it go on for ever after `end`", () => {
    const connection = open(both)
    play(connection, [
      { atMs: 20, call: close, expect: [{ flags: "F", seq: 1 }] },
      { atMs: 30, receive: [{ flags: "A", seq: 1, ack: 2 }], expect: [] },
      { atMs: 10_029, expect: [] },
      { atMs: 10_030, expect: [reset("Closed")] }
    ])
    assert.isTrue(connection.isClosed)

    const reading = halfClosed()
    for (let nowMs = 20_000; nowMs < 600_000; nowMs += 20_000) {
      reading.timeout(nowMs)
      reading.drain(nowMs)
      reading.receive({ flags: 2, sequence: 1, acknowledgement: 2, window: 9, payload: text("") }, nowMs)
    }
    assert.strictEqual(reading.state, "finWait")
  })
})

describe("Ending: resets with a reason (wire §17 bit 1)", () => {
  for (const reason of ResetReason.reasons) {
    it(`carries ${reason} to a peer that announced it, and nothing to any other`, () => {
      const to = (options: Partial<StreamConfig.StreamConfig>) => {
        const connection = open(options)
        connection.reset(reason)
        return connection.drain(20)
      }
      assert.deepStrictEqual(
        to(both).map(({ payload }) => ResetReason.decode(payload)),
        [reason]
      )
      assert.deepStrictEqual(
        to({}).map(({ payload }) => payload.length),
        [0]
      )

      const told = open(both)
      play(told, [{ atMs: 20, receive: [reset(reason)], expect: [] }])
      assert.strictEqual(told.peerReason, reason)
      assert.strictEqual(told.error, reason === "NoConnection" ? "Restarted" : "Reset")
      const untold = open()
      play(untold, [{ atMs: 20, receive: [reset(reason)], expect: [] }])
      assert.isUndefined(untold.peerReason)
    })
  }

  it("keeps the end that was read although a reset follows it", () => {
    const connection = accept(both)
    play(connection, [
      { atMs: 20, receive: [{ flags: "A", seq: 1, ack: 1, payload: text("all") }], expect: [] },
      { atMs: 21, receive: [{ flags: "F", seq: 4 }], expect: [{ flags: "A", seq: 1, ack: 5 }] },
      { atMs: 30, receive: [reset("Closed")], expect: [] }
    ])

    assert.strictEqual(readText(connection), "all")
    assert.isTrue(connection.isReadEnded)
    assert.strictEqual(connection.write(text("x"), 31), 0)
  })

  it("says that it gave the peer up, instead of ending as if all had been sent", () => {
    const connection = open(both)
    play(connection, [
      { atMs: 20, call: write("a"), expect: [{ flags: "A", seq: 1, ack: 1, payload: text("a") }] },
      { atMs: 21, call: close, expect: [{ flags: "F", seq: 2 }] }
    ])
    const sent: Array<Written> = []
    for (let nowMs = connection.deadlineMs; !connection.isClosed; nowMs = connection.deadlineMs) {
      assert.isBelow(nowMs, Number.POSITIVE_INFINITY, "nobody wakes it any more")
      connection.timeout(nowMs)
      for (const { flags, payload } of connection.drain(nowMs))
        if (flags !== 2) sent.push({ flags: flags === 8 ? "R" : `${flags}`, payload })
    }

    assert.deepStrictEqual(sent, [reset("Timeout")])
    assert.strictEqual(connection.error, "Timeout")
  })

  it("says that an idle stream was given up", () => {
    const connection = open(both)
    let last = 0
    for (let nowMs = connection.deadlineMs; !connection.isClosed; nowMs = connection.deadlineMs) {
      connection.timeout(nowMs)
      for (const { payload } of connection.drain(nowMs)) last = payload[0] ?? 0
    }
    assert.strictEqual(ResetReason.reasons[last - 1], "Timeout")
  })

  it("gives up a peer that holds all data, acknowledges none of it, and falls silent", () => {
    const connection = open({ ...both, noDelay: true })
    const sack = SackBlocks.encode([{ left: 1, right: 6 }])
    play(connection, [
      { atMs: 20, call: write("hello"), expect: [{ flags: "A", seq: 1, ack: 1, payload: text("hello") }] },
      { atMs: 30, receive: [{ flags: "A", seq: 1, ack: 1, payload: sack }], expect: [] }
    ])
    connection.close(40)
    let nowMs = 40
    for (let wakes = 0; wakes < 1000 && connection.deadlineMs < 600_000; wakes++) {
      nowMs = Math.max(nowMs, connection.deadlineMs)
      connection.timeout(nowMs)
      connection.drain(nowMs)
    }

    assert.isTrue(connection.isClosed)
    assert.strictEqual(connection.error, "Timeout")
  })

  it("resets a peer that sends data behind its own end", () => {
    const connection = accept(both)
    play(connection, [
      { atMs: 20, receive: [{ flags: "F", seq: 1 }], expect: [{ flags: "A", seq: 1, ack: 2 }] },
      { atMs: 30, receive: [{ flags: "A", seq: 2, ack: 1, payload: text("x") }], expect: [reset("ProtocolError")] }
    ])
    assert.strictEqual(connection.error, "Violated")
  })

  it("is over, and not failed, when the peer has forgotten a stream that both have ended", () => {
    const connection = accept(both)
    play(connection, [
      { atMs: 20, receive: [{ flags: "F", seq: 1 }], expect: [{ flags: "A", seq: 1, ack: 2 }] },
      { atMs: 30, call: end, expect: [{ flags: "F", seq: 1 }] },
      { atMs: 40, receive: [reset("NoConnection")], expect: [] }
    ])
    assert.isTrue(connection.isClosed)
    assert.isUndefined(connection.error)
  })

  it("is not kept from dialling by what answers an older stream on the same ports", () => {
    const connection = Connection.Connection.dialing(StreamConfig.make(both), 0, 0)
    play(connection, [
      { atMs: 0, expect: [{ flags: "S" }] },
      { atMs: 1, receive: [reset("NoConnection")], expect: [] }
    ])
    assert.strictEqual(connection.state, "synSent")
  })
})

describe("Ending: a SYN on the ports of a stream that the peer has forgotten (RFC 9293 §3.10.7.4)", () => {
  const stale: Written = { flags: "S", seq: 77, window: 512 }

  it("ends that stream at once, and says nothing, so that the new one can begin", () => {
    for (const options of [both, {}]) {
      const connection = accept(options)
      play(connection, [{ atMs: 20, receive: [stale], expect: [] }])
      assert.isTrue(connection.isClosed)
      assert.strictEqual(connection.error, "Restarted")
    }
  })

  it("is a repeat while it can be one, where the peer starts every stream at 0", () => {
    const connection = accept()
    const again: Written = { flags: "S", window: 512 }
    play(connection, [{ atMs: 4_000, receive: [again], expect: [{ flags: "SA", ack: 1 }] }])
    assert.strictEqual(connection.state, "established")
    play(connection, [{ atMs: 5_010, receive: [again], expect: [] }])
    assert.strictEqual(connection.error, "Restarted")
  })

  it("is always a repeat where the peer draws its sequences and this one is the same", () => {
    const connection = accept(both)
    play(connection, [{ atMs: 20_000, receive: [{ flags: "S", window: 512 }], expect: [{ flags: "SA", ack: 1 }] }])
  })

  it("does not end a stream that we dialled, which answers where it is (RFC 5961 §4.2)", () => {
    const connection = open(both)
    play(connection, [{ atMs: 20, receive: [stale], expect: [{ flags: "A", seq: 1, ack: 1 }] }])
    assert.strictEqual(connection.state, "established")
  })

  it("is answered, as a dial, by a reset of what the peer still holds, and asked again", () => {
    const connection = Connection.Connection.dialing(StreamConfig.make(both), 100, 0)
    play(connection, [
      { atMs: 0, expect: [{ flags: "S", seq: 100 }] },
      {
        atMs: 1,
        receive: [{ flags: "A", seq: 9, ack: 55 }],
        expect: [reset("NoConnection"), { flags: "S", seq: 100 }]
      },
      { atMs: 2, receive: [{ flags: "SA", seq: 5, ack: 101, window: 9 }], expect: [{ flags: "A", seq: 101, ack: 6 }] }
    ])
    assert.strictEqual(connection.state, "established")
  })
})

describe("Ending: pairs", () => {
  const traces = Arbitrary.all({
    seed: Arb.integer(0, 0xffff_ffff),
    latencyMs: Arb.element(0.2, 15, 150),
    loss: Arb.element(0, 0.02, 0.2),
    duplication: Arb.element(0, 0.1),
    reordering: Arb.element(0, 0.3),
    lengths: Arbitrary.all([Arb.integer(0, 40_000), Arb.integer(0, 40_000)]),
    receiveBytesMax: Arb.element(3_000, 4 << 20)
  })

  it.prop(
    "everything a server sends after the client's end arrives, over any link, and both ends are done without error",
    { trace: traces },
    ({ trace: { duplication, latencyMs, lengths, loss, receiveBytesMax, reordering, seed } }) => {
      const link = { latencyMs, loss, duplication, reordering, reorderMs: 2 * latencyMs + 1 }
      // A link may lose every answer to the last FIN until the answering end has forgotten the stream.
      const patience = { giveUpMs: 200_000, lingerMs: 200_000, finWaitMs: 200_000, idleMs: 400_000 }
      const config = { ...both, receiveBytesMax, ...patience }
      const pair = new StreamPair({ link, seed, config })
      const [request, answer] = [pattern(lengths[0], 1), pattern(lengths[1], 2)]
      pair.run(({ a }) => a.connection.state === "established")
      pair.a.outgoing = request
      pair.a.wantsEnd = true
      pair.touch(pair.a)
      assert.isTrue(pair.run(({ b }) => b.connection.isReadEnded, 600_000))
      // The end may have come in the middle of a batch.
      pair.touch(pair.b)
      assert.isTrue(isSame(pair.b.bytes, request))
      pair.b.outgoing = answer
      pair.b.wantsEnd = true
      pair.touch(pair.b)

      assert.isTrue(pair.run(({ isClosed }) => isClosed, 900_000))
      assert.isTrue(isSame(pair.a.bytes, answer))
      assert.isTrue(pair.a.connection.isReadEnded)
      assert.isUndefined(pair.a.connection.error ?? pair.b.connection.error)
    },
    { arbitrary: { runs: 150 } }
  )

  it("two ends that close both at once part with at most four segments", () => {
    const pair = new StreamPair({ link: cleanLink(5), seed: 1, config: both })
    pair.run(({ a, b }) => a.connection.state === "established" && b.connection.state === "established")
    const before = pair.sent.length
    for (const one of [pair.a, pair.b]) {
      one.connection.close(pair.nowMs)
      pair.touch(one)
    }
    assert.isTrue(pair.run(({ isClosed }) => isClosed))
    assert.isAtMost(pair.sent.length - before, 4)
    assert.isUndefined(pair.a.connection.error ?? pair.b.connection.error)
  })
})
