/** Ports from routers that speak UPnP, honest and lying ones, played in memory on virtual time. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as UpnpSession from "../../../src/actors/node/UpnpSession.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import { type RouterAnswer, RouterHttpFailed, type RouterRequest } from "../../../src/core/net/RouterHttp.ts"
import { UdpEndpoint } from "../../../src/core/net/UdpEndpoint.ts"
import type { PortMapping } from "../../../src/nat/PortMapClient.ts"
import * as MemoryNetwork from "../../../src/testing/MemoryNetwork.ts"
import * as Upnp from "../../support/UpnpRouter.ts"

const [GATEWAY, CLIENT, LIAR] = ["192.168.1.1", "192.168.1.2", "192.168.1.9"]
const FAULT = (code: number) => ({ status: 500, text: `<errorCode>${code}</errorCode>` })
const OK = (members: Readonly<Record<string, string | number>> = {}) => ({ status: 200, text: Upnp.answer(members) })

type Answers = (name: string, request: RouterRequest) => RouterAnswer | "silence" | "broken"

/** A router of that version, with an outside address. */
const honest =
  (version: 1 | 2, external = "11.22.33.44"): Answers =>
  (name) => {
    if (name === "GET") return { status: 200, text: Upnp.description([[`WANIPConnection:${version}`, "/ctl"]]) }
    if (name === "GetExternalIPAddress") return OK({ NewExternalIPAddress: external })
    return name === "AddAnyPortMapping" ? OK({ NewReservedPort: 45_000 }) : OK()
  }

/** A host that asks, and a router that answers the search with `location`, from `from`. */
const stage = Effect.fnUntraced(function* (
  answers: Answers,
  { from = GATEWAY, location = `http://${GATEWAY}:5000/desc.xml` } = {}
) {
  const network = yield* MemoryNetwork.make({ seed: 1 })
  const at = (ip: string) => Effect.map(Layer.build(network.host(ip)), (context) => Context.get(context, UdpEndpoint))
  const udp = yield* at(CLIENT)
  const responder = yield* Effect.flatMap(at(from), (host) => host.bind({ host: from, port: 1900 }))
  let searches = 0
  network.tap(({ bytes, to }) => {
    if (to.port === 1900 && Bytes.toUtf8Lossy(bytes).startsWith("M-SEARCH")) searches++
  })
  // Whoever lies does not wait to be asked.
  const speak = (to: { host: string; port: number }) =>
    responder.send(Bytes.fromUtf8(`HTTP/1.1 200 OK\r\nLOCATION: ${location}\r\n\r\n`), to)
  responder.onBatch((batch) => {
    for (const { from: asker } of batch) speak(asker)
  })
  if (from !== GATEWAY)
    network.tap(({ from: asker, to }) => {
      if (to.host === GATEWAY) speak(asker)
    })
  const asked: Array<string> = []
  const told: Array<PortMapping | undefined> = []
  const scope = yield* Scope.make()
  const session = yield* UpnpSession.hold({
    udp,
    router: { gateway: GATEWAY, client: CLIENT },
    internalPort: 4000,
    random: () => 5,
    changed: (mapping) => void told.push(mapping),
    ask: (request) =>
      Effect.suspend(() => {
        const name = /#(\w+)"/.exec(request.headers?.["SOAPAction"] ?? "")?.[1] ?? "GET"
        const port = /<NewExternalPort>(\d+)/.exec(request.body ?? "")?.[1]
        const lease = /<NewLeaseDuration>(\d+)/.exec(request.body ?? "")?.[1]
        asked.push([name, port, lease].filter((word) => word !== undefined).join(" "))
        const answer = answers(name, request)
        if (answer === "silence") return Effect.never
        return answer === "broken" ? new RouterHttpFailed({ detail: "more than 65536 bytes" }) : Effect.succeed(answer)
      })
  }).pipe(Effect.provideService(Scope.Scope, scope), Effect.forkChild({ startImmediately: true }))
  return { asked, told, searches: () => searches, session, scope }
})

/** Longer than everything that a session waits for before it has a port. */
const settle = TestClock.adjust("30 seconds")
const HAS = { protocol: "upnp", external: { host: "11.22.33.44", port: 4000 } } as const

describe("UpnpSession", () => {
  it.effect("gets the own port from a router of the first version, renews it, and gives it back (IGD:1)", () =>
    Effect.gen(function* () {
      const { asked, scope, session, told } = yield* stage(honest(1))
      yield* settle
      assert.deepStrictEqual(told, [HAS])

      yield* TestClock.adjust("2 hours")
      yield* Fiber.interrupt(session)
      yield* Scope.close(scope, yield* Effect.exit(Effect.void))

      assert.deepStrictEqual(asked, [
        "GET",
        "GetExternalIPAddress",
        "AddPortMapping 4000 7200",
        "AddPortMapping 4000 7200",
        "AddPortMapping 4000 7200",
        "DeletePortMapping 4000"
      ])
      assert.deepStrictEqual(told, [HAS, undefined])
    }).pipe(Effect.scoped)
  )

  it.effect("takes the port that a router of the second version gives (IGD:2)", () =>
    Effect.gen(function* () {
      const { told } = yield* stage(honest(2))
      yield* settle

      assert.deepStrictEqual(told, [{ ...HAS, external: { host: "11.22.33.44", port: 45_000 } }])
    }).pipe(Effect.scoped)
  )

  it.effect("tries another port when the own one is taken, and no end where a router knows none", () =>
    Effect.gen(function* () {
      const codes = [718, 725]
      const { asked, told } = yield* stage((name, request) => {
        const code = name === "AddPortMapping" ? codes.shift() : undefined
        return code === undefined ? honest(1)(name, request) : FAULT(code)
      })
      yield* settle

      assert.deepStrictEqual(asked.slice(2), [
        "AddPortMapping 4000 7200",
        "AddPortMapping 1029 7200",
        "AddPortMapping 1029 0"
      ])
      assert.deepStrictEqual(told, [{ ...HAS, external: { host: "11.22.33.44", port: 1029 } }])
    }).pipe(Effect.scoped)
  )

  it.effect("says no more than a few times to a router that refuses, and why it has no port", () =>
    Effect.gen(function* () {
      const { asked, session, told } = yield* stage((name, request) =>
        name === "AddPortMapping" ? FAULT(718) : honest(1)(name, request)
      )
      yield* settle

      assert.strictEqual(yield* Fiber.join(session), "it gives no port (error 718)")
      assert.lengthOf(asked, 6)
      assert.deepStrictEqual(told, [])
    }).pipe(Effect.scoped)
  )

  it.effect("loses the port when the router does not renew it", () =>
    Effect.gen(function* () {
      let isRestarted = false
      const { session, told } = yield* stage((name, request) => (isRestarted ? FAULT(501) : honest(1)(name, request)))
      yield* settle
      isRestarted = true
      yield* TestClock.adjust("2 hours")

      assert.strictEqual(yield* Fiber.join(session), "it does not renew the port (error 501)")
      assert.deepStrictEqual(told, [HAS, undefined])
    }).pipe(Effect.scoped)
  )

  for (const [what, answers, said] of [
    ["has a private outside address", honest(1, "10.0.0.7"), "its outside address 10.0.0.7 is not one of the internet"],
    ["is this host", honest(1, "127.0.0.1"), "its outside address 127.0.0.1 is not one of the internet"],
    ["calls a name its address", honest(1, "evil.example"), "it does not say its outside address"],
    ["redirects", () => ({ status: 302, text: "" }), "its description has no connection that gives ports"],
    ["describes too much", () => "broken", "more than 65536 bytes"],
    ["never answers", () => "silence", "it does not answer in time"],
    [
      "is controlled elsewhere",
      () => ({ status: 200, text: Upnp.description([["WANIPConnection:1", `http://${LIAR}/ctl`]]) }),
      "its description has no connection that gives ports"
    ],
    [
      "gives a port that is none",
      (name: string, request: RouterRequest) =>
        name === "AddAnyPortMapping" ? OK({ NewReservedPort: 70_000 }) : honest(2)(name, request),
      "it does not say which port it gave"
    ]
  ] as ReadonlyArray<readonly [string, Answers, string]>)
    it.effect(`has no port from a router that ${what}`, () =>
      Effect.gen(function* () {
        const { session, told } = yield* stage(answers)
        yield* settle

        assert.strictEqual(yield* Fiber.join(session), said)
        assert.deepStrictEqual(told, [])
      }).pipe(Effect.scoped)
    )

  it.effect("asks nobody but the gateway, whoever answers the search and whatever it names", () =>
    Effect.gen(function* () {
      for (const other of [
        { from: LIAR, location: `http://${GATEWAY}:5000/desc.xml` },
        { from: LIAR, location: `http://${LIAR}/desc.xml` },
        { location: `http://${LIAR}/desc.xml` }
      ]) {
        const { asked, searches, session } = yield* stage(honest(1), other)
        yield* settle

        assert.isUndefined(yield* Fiber.join(session))
        assert.deepStrictEqual(asked, [])
        assert.strictEqual(searches(), 6)
      }
    }).pipe(Effect.scoped)
  )
})
