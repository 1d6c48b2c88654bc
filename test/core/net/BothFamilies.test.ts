import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as BothFamilies from "../../../src/core/net/BothFamilies.ts"
import {
  BindError,
  type Datagram,
  type UdpEndpoint,
  type UdpSocket,
  uncounted
} from "../../../src/core/net/UdpEndpoint.ts"

interface Fake extends UdpSocket {
  readonly sent: Array<string>
  readonly receive: (batch: ReadonlyArray<Datagram>) => void
}

const fake = (host: string, port: number, mtuBytes: number, counters = uncounted()): Fake => {
  let receiver: (batch: ReadonlyArray<Datagram>) => void = () => {}
  const sent: Array<string> = []
  return {
    ...{ local: { host, port }, counters, sent },
    receive: (batch) => receiver(batch),
    onBatch: (receive) => {
      receiver = receive
    },
    send: (_, to) => {
      counters.sentDatagrams++
      sent.push(to.host)
    },
    mtuTowards: () => Effect.succeed(mtuBytes)
  }
}

/** A host on which these are taken. */
const hostWith = (...taken: ReadonlyArray<string>) => {
  const sockets: Array<Fake> = []
  const endpoint: UdpEndpoint["Service"] = {
    bind: ({ counters, host, port }) => {
      if (taken.includes(host) || taken.includes(`${host} ${port}`))
        return Effect.fail(new BindError({ reason: "PortInUse", host, port, detail: "" }))
      const socket = fake(host, port === 0 ? 50_000 : port, 1400, counters)
      sockets.push(socket)
      return Effect.succeed(socket)
    }
  }
  return { endpoint, sockets }
}
const V4 = { host: "192.0.2.1", port: 9 }
const V6 = { host: "2001:db8::1", port: 9 }
const beside = (endpoint: UdpEndpoint["Service"], first: UdpSocket) =>
  Effect.scoped(BothFamilies.beside(endpoint, first, 1024))

describe("a socket of both families", () => {
  it.effect("sends by the family of the destination, and receives by both", () =>
    Effect.gen(function* () {
      for (const [bound, other] of [
        ["0.0.0.0", "::"],
        ["::", "0.0.0.0"]
      ] as const) {
        const { endpoint, sockets } = hostWith()
        const first = fake(bound, 4000, 1500)
        const socket = yield* beside(endpoint, first)
        const received: Array<Datagram> = []
        socket.onBatch((batch) => received.push(...batch))
        for (const to of [V4, V6, V6]) socket.send(new Uint8Array(1), to)
        const [second] = sockets
        for (const [from, end] of [[V4, first] as const, [V6, second!] as const])
          end.receive([{ bytes: new Uint8Array(1), from }])

        assert.deepStrictEqual([socket.local, socket.other], [first.local, { host: other, port: 4000 }])
        const [four, six] = bound === "::" ? [second!, first] : [first, second!]
        assert.deepStrictEqual([four.sent, six.sent], [[V4.host], [V6.host, V6.host]])
        assert.deepStrictEqual(
          received.map(({ from }) => from),
          [V4, V6]
        )
        assert.strictEqual(socket.counters.sentDatagrams, 3)
        assert.strictEqual(yield* socket.mtuTowards(V4), four === first ? 1500 : 1400)
      }
    })
  )

  it.effect("has another port in the second family where that one is taken there", () =>
    Effect.gen(function* () {
      const socket = yield* beside(hostWith(":: 4000").endpoint, fake("0.0.0.0", 4000, 1500))

      assert.deepStrictEqual(socket.other, { host: "::", port: 50_000 })
    })
  )

  it.effect("is the first one alone on a host without the second family", () =>
    Effect.gen(function* () {
      const first = fake("0.0.0.0", 4000, 1500)

      assert.strictEqual(yield* beside(hostWith("::").endpoint, first), first)
    })
  )
})
