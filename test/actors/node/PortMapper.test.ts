/** Which router a node asks for a port, and when: on a network in memory, in virtual time. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import { Gateway } from "../../../src/core/net/Gateway.ts"
import { UdpEndpoint } from "../../../src/core/net/UdpEndpoint.ts"
import * as NodeNet from "../../support/NodeNet.ts"

const [HOST, HOME, CAFE] = ["192.168.1.2", "192.168.1.1", "10.9.0.1"]

/** A node whose host is behind `HOME`, and how often each router was asked; `goTo` takes it elsewhere, to no route at first. */
const stage = Effect.fnUntraced(function* (mapsPorts?: boolean) {
  const net = yield* NodeNet.make()
  const asked = new Map<string, number>()
  net.network.tap(({ to }) => {
    if (to.port === 5351) asked.set(to.host, (asked.get(to.host) ?? 0) + 1)
  })
  let gateway: string | undefined = HOME
  let addresses = [HOST]
  const found = Effect.sync(() => (gateway === undefined ? undefined : { gateway, client: HOST }))
  const settings = { addresses: () => addresses, ...(mapsPorts === undefined ? {} : { mapsPorts }) }
  const { node } = yield* Effect.provideService(net.node(HOST, settings), Gateway, found)
  const goTo = Effect.fnUntraced(function* (router: string) {
    gateway = undefined
    addresses = [...addresses, "10.9.0.7"]
    yield* TestClock.adjust("2500 millis")
    gateway = router
    yield* TestClock.adjust("30 seconds")
  })
  return { asked, goTo, net, status: node.status }
})

describe("PortMapper", () => {
  it.effect("asks the router of the network that its host is in now, and forgets what another one gave", () =>
    Effect.gen(function* () {
      const { asked, goTo, net, status } = yield* stage()
      const router = Context.get(yield* Layer.build(net.network.host(HOME)), UdpEndpoint)
      const socket = yield* router.bind({ host: HOME, port: 5351 })
      socket.onBatch((batch) => {
        for (const { bytes, from } of batch) socket.send(granted(bytes), from)
      })
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual((yield* status).portMapping?.external, { host: "203.0.113.9", port: 4000 })

      const before = asked.get(HOME)
      yield* goTo(CAFE)
      assert.isAbove(asked.get(CAFE) ?? 0, 0)
      assert.isUndefined((yield* status).portMapping)
      // The first is told that its port is not needed any more, and nothing else.
      assert.isAtMost((asked.get(HOME) ?? 0) - (before ?? 0), 1)
    }).pipe(Effect.scoped)
  )

  it.effect("asks nobody where its operator does not want it", () =>
    Effect.gen(function* () {
      const { asked, goTo, status } = yield* stage(false)
      yield* TestClock.adjust("1 minute")
      yield* goTo(CAFE)
      assert.deepStrictEqual([...asked], [])
      assert.deepStrictEqual((yield* status).turnedOff, ["port mapping"])
    }).pipe(Effect.scoped)
  )
})

/** The PCP answer to a request for a mapping (RFC 6887 §11.1): granted as asked, at 203.0.113.9. */
const granted = (request: Uint8Array): Uint8Array => {
  const answer = Bytes.copy(request)
  answer[1] = (request[1] ?? 0) | 0x80
  answer.fill(0, 2, 4)
  answer.fill(0, 8, 24)
  const external = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 203, 0, 113, 9]
  answer.set(request.subarray(40, 42), 42)
  answer.set(external, 44)
  return answer
}
