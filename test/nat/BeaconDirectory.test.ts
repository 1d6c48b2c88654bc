import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import * as Endpoint from "../../src/core/data/Endpoint.ts"
import * as BeaconDirectory from "../../src/nat/BeaconDirectory.ts"
import * as BridgeAddress from "../../src/nat/BridgeAddress.ts"
import { NodeId } from "../../src/protocol/wire/Address.ts"
import * as BeaconMessage from "../../src/protocol/wire/BeaconMessage.ts"
import { element, integer, oneOf } from "../support/Arbitraries.ts"

const at = (host: number, port = 4000): Endpoint.Endpoint => ({ host: `192.0.2.${host}`, port })
const discover = (id: number): BeaconMessage.BeaconMessage => ({
  _tag: "Discover",
  node: NodeId(id),
  identityKey: undefined
})
const relay = (sender: number, destination: number): BeaconMessage.BeaconMessage => ({
  _tag: "Relay",
  sender: NodeId(sender),
  destination: NodeId(destination),
  frame: Uint8Array.of(1, 2, 3)
})
const punch = (requester: number, target: number): BeaconMessage.BeaconMessage => ({
  _tag: "PunchRequest",
  requester: NodeId(requester),
  target: NodeId(target),
  grant: undefined
})

/** Nodes 1 … 9 are registered from 192.0.2.<id>; registrations can be renewed by hand. */
const makeDesk = (config: Partial<BeaconDirectory.Config> = {}) => {
  const registeredAtMs = new Map(Array.from({ length: 9 }, (_, index) => [index + 1, -1]))
  const directory = new BeaconDirectory.BeaconDirectory({ ...BeaconDirectory.defaults, ...config }, (id) => {
    const atMs = registeredAtMs.get(id)
    return atMs === undefined ? undefined : { host: `192.0.2.${id}`, endpoint: `192.0.2.${id}:4000`, atMs }
  })
  const send = (message: BeaconMessage.BeaconMessage, from: Endpoint.Endpoint, nowMs: number) =>
    directory.receive(message, from, nowMs).map(({ message, to }) => [message._tag, Endpoint.format(to)])
  return { directory, registeredAtMs, send }
}

const woken = (to: Endpoint.Endpoint) => [["DiscoverReply", Endpoint.format(to)]]
const delivered = (...to: ReadonlyArray<Endpoint.Endpoint>) =>
  to.map((place) => ["RelayDeliver", Endpoint.format(place)])

describe("BeaconDirectory", () => {
  it("tells everybody its address, and remembers neither id 0 nor ids that the registry does not know", () => {
    const { directory, send } = makeDesk()
    for (const id of [0, 10, 0xffffffff]) {
      assert.deepStrictEqual(send(discover(id), at(1), 0), [["DiscoverReply", "192.0.2.1:4000"]])
    }
    assert.strictEqual(directory.size(0), 0)
  })

  it("relays between announced nodes only, and only from the sender's own address (security rule 7)", () => {
    const { directory, send } = makeDesk()
    send(discover(1), at(1), 0)
    send(discover(2), at(2), 0)

    assert.deepStrictEqual(send(relay(1, 2), at(1), 1), delivered(at(2)))
    assert.deepStrictEqual(send(relay(1, 2), at(3), 1), woken(at(3)))
    assert.deepStrictEqual(send(relay(1, 2), at(1, 4001), 1), woken(at(1, 4001)))
    assert.deepStrictEqual(send(relay(3, 2), at(3, 4001), 1), woken(at(3, 4001)))
    assert.deepStrictEqual(send(relay(1, 3), at(1), 1), [])
    assert.include(directory.counters, { relayed: 1, relayForeignSender: 3, relayUnknownDestination: 1 })
  })

  it("stops relaying to a node that left the registry", () => {
    const { registeredAtMs, send } = makeDesk()
    send(discover(1), at(1), 0)
    send(discover(2), at(2), 0)
    registeredAtMs.delete(2)
    assert.deepStrictEqual(send(relay(1, 2), at(1), 1), [])
    assert.deepStrictEqual(send(punch(1, 2), at(1), 1), [])
  })

  it("sends punch commands to announced nodes only, at most one a second after a few (security rule 7)", () => {
    const { directory, send } = makeDesk()
    send(discover(1), at(1), 0)
    send(discover(2), at(2), 0)
    const both = [
      ["PunchCommand", "192.0.2.1:4000"],
      ["PunchCommand", "192.0.2.2:4000"]
    ]

    assert.deepStrictEqual(send(punch(1, 3), at(1), 0), woken(at(3)))
    assert.deepStrictEqual(send(punch(1, 1), at(1), 0), [])
    assert.deepStrictEqual(send(punch(1, 2), at(9), 0), woken(at(9)))
    for (let count = 0; count < 5; count++) assert.deepStrictEqual(send(punch(1, 2), at(1), 0), both)
    assert.deepStrictEqual(send(punch(1, 2), at(1), 999), [])
    assert.deepStrictEqual(send(punch(1, 2), at(1), 1000), both)
    assert.strictEqual(directory.counters.rateLimited, 1)
  })

  it("does not let an address elsewhere displace the registered host while that is in use", () => {
    const { send } = makeDesk()
    send(discover(1), at(1), 0)
    send(discover(2), at(2), 0)
    for (let nowMs = 0; nowMs < 59_000; nowMs += 1000) send(discover(2), at(66), nowMs)
    assert.deepStrictEqual(send(relay(1, 2), at(1), 59_000), delivered(at(2)))

    assert.deepStrictEqual(send(discover(2), at(66), 60_000), [["DiscoverReply", "192.0.2.66:4000"]])
    assert.deepStrictEqual(send(relay(1, 2), at(1), 60_001), delivered(at(66)))
  })

  it("takes a changed port after a second announcement, and serves both for five seconds (rendezvous §8, better 1)", () => {
    const { send } = makeDesk()
    send(discover(1), at(1), 0)
    send(discover(2), at(2), 0)
    send(discover(2), at(2, 5000), 1000)
    assert.deepStrictEqual(send(relay(1, 2), at(1), 1001), delivered(at(2)))
    send(discover(2), at(2, 5000), 1499)
    assert.deepStrictEqual(send(relay(1, 2), at(1), 1499), delivered(at(2)))
    send(discover(2), at(2, 5000), 1500)

    assert.deepStrictEqual(send(relay(1, 2), at(1), 1500), delivered(at(2, 5000), at(2)))
    assert.deepStrictEqual(send(relay(2, 1), at(2), 6499), delivered(at(1)))
    assert.deepStrictEqual(send(relay(1, 2), at(1), 6500), delivered(at(2, 5000)))
    assert.deepStrictEqual(send(relay(2, 1), at(2), 6500), woken(at(2)))
  })

  it("tells whom it does not know to announce itself, and whom somebody wants, where they registered", () => {
    const { directory, registeredAtMs, send } = makeDesk()
    // As after a restart: the registry knows them all, the beacon nobody.
    assert.deepStrictEqual(send(relay(1, 2), at(1, 5000), 0), woken(at(1, 5000)))
    send(discover(1), at(1, 5000), 1)
    assert.deepStrictEqual(send(relay(1, 2), at(1, 5000), 2), woken(at(2)))
    send(discover(2), at(2), 3)
    assert.deepStrictEqual(send(relay(1, 2), at(1, 5000), 4), delivered(at(2)))

    registeredAtMs.delete(3)
    assert.deepStrictEqual(send(relay(3, 1), at(3), 5), [])
    assert.deepStrictEqual(send(relay(1, 3), at(1, 5000), 6), [])
    assert.strictEqual(directory.counters.woken, 2)
  })

  it("tells an address at most once a second, and a host at most ten times after a few (security rule 7)", () => {
    const { directory, send } = makeDesk()
    const told = (nowMs: number, port = 4000) => send(relay(1, 2), at(1, port), nowMs).length
    assert.deepStrictEqual([told(0), told(0), told(999), told(1000), told(1500)], [1, 0, 0, 1, 0])

    const ports = Array.from({ length: 100 }, (_, index) => told(10_000, 5000 + index))
    assert.strictEqual(
      ports.reduce((sum, count) => sum + count),
      20
    )
    assert.strictEqual(directory.counters.rateLimited, 80)
  })

  it("forgets a candidate when the address in use announces itself again", () => {
    const { send } = makeDesk()
    send(discover(1), at(1), 0)
    send(discover(2), at(2), 0)
    send(discover(2), at(2, 5000), 1000)
    send(discover(2), at(2), 2000)
    send(discover(2), at(2, 5000), 3000)
    assert.deepStrictEqual(send(relay(1, 2), at(1), 3001), delivered(at(2)))
  })

  it("believes a node at once that registered since it was last seen", () => {
    const { registeredAtMs, send } = makeDesk()
    send(discover(1), at(1), 0)
    send(discover(2), at(2), 0)
    registeredAtMs.set(2, 500)
    send(discover(2), at(66, 5000), 1000)
    assert.deepStrictEqual(send(relay(1, 2), at(1), 1000), delivered(at(2)))
    send(discover(2), at(2, 5000), 1000)
    assert.deepStrictEqual(send(relay(1, 2), at(1), 1000), delivered(at(2, 5000), at(2)))
  })

  it("forgets a node ten minutes after its last announcement", () => {
    const { directory, send } = makeDesk()
    send(discover(1), at(1), 0)
    assert.strictEqual(directory.size(599_999), 1)
    assert.strictEqual(directory.size(600_000), 0)
  })

  it("delivers with the destination to nodes that asked for it (rendezvous §14.5)", () => {
    const { send } = makeDesk()
    send(discover(1), at(1), 0)
    send({ _tag: "DiscoverExtended", node: NodeId(2), identityKey: undefined }, at(2), 0)
    assert.deepStrictEqual(send(relay(1, 2), at(1), 1), [["RelayDeliverTo", "192.0.2.2:4000"]])
  })

  it("limits each source, and counts an IPv6 /64 as one", () => {
    const { send } = makeDesk({ discover: { capacity: 2, perSecond: 1 } })
    const v6 = (tail: number) => ({ host: `2001:db8::${tail}`, port: 1 })
    assert.lengthOf(send(discover(0), v6(1), 0), 1)
    assert.lengthOf(send(discover(0), v6(2), 0), 1)
    assert.lengthOf(send(discover(0), v6(3), 0), 0)
    assert.lengthOf(send(discover(0), at(1), 0), 1)
  })

  const move = Arbitrary.all({
    message: Arbitrary.flatMap(Arbitrary.all({ a: integer(0, 4), b: integer(0, 4) }), ({ a, b }) =>
      element(discover(a), discover(a), relay(a, b), relay(a, b), punch(a, b))
    ),
    host: integer(1, 4),
    port: element(4000, 4001),
    passMs: oneOf(integer(0, 2000), element(60_000, 600_000))
  })

  it.prop(
    "sends only to whom it answers or to addresses that announced or registered, and never three times what came",
    { moves: Arbitrary.array(move, { maxLength: 60 }) },
    ({ moves }) => {
      const { directory } = makeDesk()
      const announcedFrom = new Map<string, number>()
      let nowMs = 0
      for (const { host, message, passMs, port } of moves) {
        nowMs += passMs
        const from = at(host, port)
        if (message._tag === "Discover" && message.node !== 0) announcedFrom.set(Endpoint.format(from), nowMs)
        const sendings = directory.receive(message, from, nowMs)
        for (const { message: sent, to } of sendings) {
          // The registry's connection has proved that a node is there; it hears of nothing but that it is wanted.
          const isRegistered = /^192\.0\.2\.[1-9]:4000$/.test(Endpoint.format(to))
          if (isRegistered && sent._tag === "DiscoverReply") continue
          const announcedAtMs = announcedFrom.get(Endpoint.format(to)) ?? Number.NEGATIVE_INFINITY
          assert.isTrue(Endpoint.equals(to, from) || nowMs - announcedAtMs < 600_000)
        }
        const sizeOf = (one: BeaconMessage.BeaconMessage) => BeaconMessage.encode(one).length + 28
        const sentBytes = sendings.reduce((sum, { message }) => sum + sizeOf(message), 0)
        assert.isAtMost(sentBytes, 3 * sizeOf(message))
      }
    },
    { arbitrary: { runs: 300 } }
  )

  it("believes a WebSocket at once, and while it is there only where that says the node goes", () => {
    const { directory, send } = makeDesk()
    const bridge = BridgeAddress.make("192.0.2.1", 70_000)
    send(discover(1), at(1), 0)
    send(discover(2), at(2), 0)
    assert.deepStrictEqual(directory.receive(discover(1), bridge, 10)[0]?.message, {
      _tag: "DiscoverReply",
      endpoint: { host: "192.0.2.1", port: 0 }
    })
    assert.deepStrictEqual(send(relay(2, 1), at(2), 11), delivered(bridge, at(1)))
    assert.deepStrictEqual(send(punch(2, 1), at(2), 12), [])
    assert.deepStrictEqual(send(punch(1, 2), bridge, 12), [])

    // Two announcements by UDP do not move it, wherever they come from.
    for (const nowMs of [6000, 7000, 8000]) send(discover(1), at(9), nowMs)
    assert.deepStrictEqual(send(relay(2, 1), at(2), 8001), delivered(bridge))
    assert.isFalse(directory.bridged(NodeId(1), bridge, at(1), 8002), "it was not announced from there")
    assert.isFalse(directory.bridged(NodeId(2), bridge, at(9), 8002), "that is another node's")
    send(discover(1), at(1, 4001), 8003)
    assert.isTrue(directory.bridged(NodeId(1), bridge, at(1, 4001), 8004))
    assert.deepStrictEqual(send(relay(2, 1), at(2), 8005), delivered(at(1, 4001), bridge))
    assert.deepStrictEqual(send(relay(1, 2), at(1, 4001), 8005), delivered(at(2)))
    directory.bridged(NodeId(1), bridge, undefined, 9000)
    assert.deepStrictEqual(send(relay(2, 1), at(2), 9001), delivered(at(1, 4001)))
  })

  it("forgets a node whose WebSocket ends, unless it has been announced elsewhere a moment ago", () => {
    const { directory, send } = makeDesk()
    const bridge = BridgeAddress.make("198.51.100.1", 1)
    directory.receive(discover(1), bridge, 0)
    directory.bridged(NodeId(1), bridge, undefined, 1)
    assert.deepStrictEqual(directory.addresses(NodeId(1), 1), [])

    directory.receive(discover(1), bridge, 2)
    send(discover(1), at(1), 3)
    directory.bridged(NodeId(1), bridge, undefined, 4)
    assert.deepStrictEqual(directory.addresses(NodeId(1), 6000), [at(1)])
  })
})
