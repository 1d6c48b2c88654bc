import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Result } from "effect"
import * as PortTable from "../../../src/protocol/stream/PortTable.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"
import * as Arb from "../../support/Arbitraries.ts"
import { failure, success } from "../../support/Vectors.ts"
import vectors from "../../vectors/wire.json" with { type: "json" }

const EPHEMERAL_PORTS = 16_384
const make = (limits: Partial<PortTable.PortLimits> = {}) =>
  new PortTable.PortTable({ ...PortTable.defaultLimits, ...limits }, 0)

const remote = (node: number, port = 7): Address.SocketAddress => ({
  address: Address.make(0, node),
  port: Address.Port(port)
})

describe("PortTable", () => {
  it("starts where the reference starts and wraps to 49152, where the reference goes to 0 (wire §2)", () => {
    const ports = make()
    const allocated = Array.from({ length: EPHEMERAL_PORTS + 2 }, () => success(ports.allocate(remote(1), 0)))

    assert.deepStrictEqual<ReadonlyArray<number>>(allocated.slice(0, 3), vectors.ephemeral.first)
    assert.deepStrictEqual<ReadonlyArray<number>>(allocated.slice(-3), [65535, 49152, 49153])
  })

  it.prop(
    "starts at an ephemeral port wherever it is told to, so that a restarted node seldom meets its old ports (RFC 6056 §3.3.1)",
    { start: Arb.unsigned(16) },
    ({ start }) => {
      const ports = new PortTable.PortTable(PortTable.defaultLimits, 0, start)
      const [first, second] = [success(ports.allocate(remote(1), 0)), success(ports.allocate(remote(1), 0))]

      assert.strictEqual(first, 49152 + (start % EPHEMERAL_PORTS))
      assert.strictEqual(second, first === 65535 ? 49152 : first + 1)
    }
  )

  it("finds a port for each of 20 000 successive dials to one place (wire §16.9)", () => {
    const ports = make()
    for (let dial = 0; dial < 20_000; dial++) {
      const port = success(ports.allocate(remote(1), dial))
      assert.isTrue(ports.open(port, remote(1)))
      ports.close(port, remote(1), dial)
    }

    assert.strictEqual(ports.connections, 0)
  })

  it("skips ports that are bound or carry a connection, and fails when all are taken (wire §2)", () => {
    const ports = make({ connectionsMax: EPHEMERAL_PORTS })
    ports.bind(Address.Port(49_152))
    const first = success(ports.allocate(remote(1), 0))
    assert.strictEqual<number>(first, 49_153)
    ports.open(first, remote(1))
    for (let count = 2; count < EPHEMERAL_PORTS; count++) ports.open(success(ports.allocate(remote(2), 0)), remote(2))

    assert.strictEqual(failure(ports.allocate(remote(3), 0)), "Exhausted")
    ports.close(first, remote(1), 0)
    assert.strictEqual(success(ports.allocate(remote(3), 0)), first)
  })

  it("rests a port towards the same remote for 30 s and no other (wire §9.2)", () => {
    const ports = make()
    const port = success(ports.allocate(remote(1), 0))
    ports.open(port, remote(1))
    ports.close(port, remote(1), 0)
    const round = (to: Address.SocketAddress, nowMs: number) =>
      Array.from({ length: EPHEMERAL_PORTS - 1 }, () => success(ports.allocate(to, nowMs)))

    assert.notInclude(round(remote(1), 1), port)
    assert.include(
      Array.from({ length: EPHEMERAL_PORTS }, () => success(ports.allocate(remote(2), 1))),
      port
    )
    assert.include(
      Array.from({ length: EPHEMERAL_PORTS }, () => success(ports.allocate(remote(1), 30_001))),
      port
    )
  })

  it("binds any port once (wire §2)", () => {
    const ports = make()

    assert.deepStrictEqual(
      [0, 7, 7, 65_535].map((port) => ports.bind(Address.Port(port))),
      [true, true, false, true]
    )
    ports.unbind(Address.Port(7))
    assert.isFalse(ports.isBound(Address.Port(7)))
    assert.deepStrictEqual<ReadonlyArray<number>>(ports.bound, [0, 65_535])
  })

  it("limits connections per port and in all (wire §8)", () => {
    const ports = make({ connectionsPerPortMax: 2, connectionsMax: 3 })
    const opened = [
      ports.open(Address.Port(7), remote(1)),
      ports.open(Address.Port(7), remote(2)),
      ports.open(Address.Port(7), remote(3)),
      ports.open(Address.Port(8), remote(3)),
      ports.open(Address.Port(9), remote(4))
    ]

    assert.deepStrictEqual(opened, [true, true, false, true, false])
  })

  it("keeps connections apart by remote network, node and port (wire §9.1)", () => {
    const ports = make()
    const keys = [remote(1, 1), remote(1, 2), remote(2, 1), { address: Address.make(1, 1), port: Address.Port(1) }]

    assert.isTrue(keys.every((key) => ports.open(Address.Port(7), key)))
    assert.isTrue(keys.every((key) => ports.isOpen(Address.Port(7), key)))
    assert.isFalse(keys.some((key) => ports.open(Address.Port(7), key)))
  })

  it("admits ten SYNs at once from one source (wire §9.2, stream_live.syn_burst)", () => {
    const ports = make()
    const admitted = Array.from({ length: 30 }, () => ports.admitSyn(Address.NodeId(1), 0)).filter(Boolean)

    assert.lengthOf(admitted, vectors.stream_live.sessions.syn_burst.answered)
  })

  it("lets no source spend the others' tokens (wire §9.5)", () => {
    const ports = make()
    for (let count = 0; count < 1000; count++) ports.admitSyn(Address.NodeId(1), 0)

    assert.isTrue(ports.admitSyn(Address.NodeId(2), 0))
  })

  it("limits all sources together (wire §8)", () => {
    const ports = make()
    const admitted = Array.from({ length: 300 }, (_, node) => ports.admitSyn(Address.NodeId(node), 0)).filter(Boolean)

    assert.lengthOf(admitted, 100)
  })

  it.prop(
    "counts exactly the connections that were opened and not closed",
    {
      steps: Arbitrary.array(
        Arbitrary.all({
          port: Arb.integer(49_150, 49_154),
          node: Arb.integer(0, 3),
          isOpening: Arb.element(true, false)
        }),
        { maxLength: 60 }
      )
    },
    ({ steps }) => {
      const ports = make({ connectionsPerPortMax: 3 })
      const model = new Set<string>()
      for (const { isOpening, node, port } of steps) {
        const key = `${port}/${node}`
        if (isOpening) {
          const onPort = [...model].filter((other) => other.startsWith(`${port}/`)).length
          assert.strictEqual(ports.open(Address.Port(port), remote(node)), !model.has(key) && onPort < 3)
          if (onPort < 3) model.add(key)
        } else {
          ports.close(Address.Port(port), remote(node), 0)
          model.delete(key)
        }
        assert.strictEqual(ports.connections, model.size)
        const next = ports.allocate(remote(9), 0)
        assert.isFalse([...model].some((other) => Result.isSuccess(next) && other.startsWith(`${next.success}/`)))
      }
    }
  )
})
