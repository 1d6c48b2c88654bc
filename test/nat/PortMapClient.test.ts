import { assert, describe, it } from "@effect/vitest"
import * as Bytes from "../../src/core/data/Bytes.ts"
import { AGAIN_MS, PortMapClient } from "../../src/nat/PortMapClient.ts"

const nonce = Bytes.fromUtf8("twelve bytes")
const EXTERNAL = Uint8Array.of(198, 51, 100, 7)

/** A router, after RFC 6887 §11 and RFC 6886 §3; `knows` is what it speaks, `refuses` its result to what it knows. */
const router = (knows: "pcp" | "nat-pmp" | "nothing", refuses = 0) => {
  const seen: Array<string> = []
  let isSilent = knows === "nothing"
  const answer = (request: Uint8Array): Uint8Array | undefined => {
    seen.push(`${request[0] === 2 ? "pcp" : "pmp"}${request[1]} ${lifetimeOf(request)}`)
    if (isSilent) return undefined
    if (request[0] === 2) {
      if (knows === "nat-pmp") return Uint8Array.of(0, 0x81, 0, 1, 0, 0, 0, 9)
      const reply = Bytes.concat(Uint8Array.of(2, 0x81, 0, refuses), request.subarray(4, 8), new Uint8Array(16))
      const ip = Bytes.concat(new Uint8Array(10), Uint8Array.of(0xff, 0xff), EXTERNAL)
      return Bytes.concat(reply, request.subarray(24, 42), Bytes.ofU16(45_000), ip)
    }
    const head = Bytes.concat(Uint8Array.of(0, 0x80 | request[1]!), Bytes.ofU16(refuses), Bytes.ofU32(9))
    if (request[1] === 0) return Bytes.concat(head, EXTERNAL)
    return Bytes.concat(head, request.subarray(4, 6), Bytes.ofU16(45_000), request.subarray(8, 12))
  }
  const silence = (isOn = true) => {
    isSilent = isOn
  }
  return { answer, seen, silence }
}

const lifetimeOf = (request: Uint8Array): string =>
  request[0] === 2 ? String(Bytes.readU32(request, 4)) : request[1] === 1 ? String(Bytes.readU32(request, 8)) : ""

/** Exchanges everything that is due until `untilMs`. */
const run = (client: PortMapClient, { answer }: ReturnType<typeof router>, untilMs: number) => {
  let nowMs = 0
  while (true) {
    for (let sent = client.take(); sent.length > 0; sent = client.take())
      for (const request of sent) {
        const reply = answer(request)
        if (reply !== undefined) client.received(reply, nowMs)
      }
    if (client.deadlineMs === undefined || client.deadlineMs > untilMs) return
    nowMs = client.deadlineMs
    client.timeout(nowMs)
  }
}

const make = () => new PortMapClient({ client: "10.0.0.2", internalPort: 4000, nonce }, 0)

describe("PortMapClient", () => {
  it("gets a port by PCP, renews it at half of its life, and gives it back (RFC 6887 §11)", () => {
    const [client, at] = [make(), router("pcp")]
    run(client, at, 7_200_000)

    assert.deepStrictEqual(client.mapping, { protocol: "pcp", external: { host: "198.51.100.7", port: 45_000 } })
    assert.deepStrictEqual(at.seen, ["pcp1 7200", "pcp1 7200", "pcp1 7200"])

    client.end()
    assert.strictEqual(lifetimeOf(client.take()[0]!), "0")
    assert.isUndefined(client.deadlineMs)
  })

  it("speaks NAT-PMP to a router that knows no PCP (RFC 6887 §9, RFC 6886 §3)", () => {
    const [client, at] = [make(), router("nat-pmp")]
    run(client, at, 1000)

    assert.deepStrictEqual(client.mapping, { protocol: "nat-pmp", external: { host: "198.51.100.7", port: 45_000 } })
    assert.deepStrictEqual(at.seen, ["pcp1 7200", "pmp0 ", "pmp1 7200"])

    client.end()
    assert.strictEqual(lifetimeOf(client.take()[0]!), "0")
  })

  it("leaves a router alone that is silent or refuses, and asks again ten minutes later", () => {
    for (const [at, questions] of [
      [router("nothing"), 9],
      [router("pcp", 2), 1]
    ] as const) {
      const client = make()
      run(client, at, 60_000)
      assert.isUndefined(client.mapping)
      assert.lengthOf(at.seen, questions)
      run(client, at, AGAIN_MS + 60_000)
      assert.lengthOf(at.seen, 2 * questions)
    }
  })

  for (const [name, lifeMs, isKept] of [
    ["keeps what it has while a router is silent, for as long as that was given", 7_190_000, true],
    ["has nothing any more when that time is over", 7_210_000, false]
  ] as const)
    it(`${name} (RFC 6887 §11.2.1)`, () => {
      const [client, at] = [make(), router("pcp")]
      run(client, at, 10_000)
      at.silence()
      run(client, at, lifeMs)
      assert.strictEqual(client.mapping !== undefined, isKept)
      assert.isAbove(at.seen.length, 4)
      assert.isBelow(at.seen.length, 40)

      at.silence(false)
      run(client, at, lifeMs + AGAIN_MS)
      assert.isDefined(client.mapping)
    })

  it("believes no answer to somebody else's question", () => {
    const client = make()
    const [request] = client.take()
    const foreign = Bytes.copy(router("pcp").answer(request!)!)
    foreign[24]! ^= 1
    client.received(foreign, 0)
    client.received(request!, 0)
    client.received(Uint8Array.of(2, 0x81), 0)

    assert.isUndefined(client.mapping)
  })
})
