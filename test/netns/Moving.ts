/**
 * Two daemons behind translators of their own, and what may happen to the way between them while they are busy: it dies after so
 * many bytes, it comes back, or the first one's host goes over to another provider.
 */
import { Effect } from "effect"
import * as Pilotctl from "../../examples/demo/Pilotctl.ts"
import * as Json from "../../src/core/data/Json.ts"
import * as PilotProcesses from "../support/PilotProcesses.ts"
import type * as Namespaces from "./Namespaces.ts"
import * as NatNet from "./NatNet.ts"

/** `pilotctl --json` on a host. */
export type Command = (...args: ReadonlyArray<string>) => Effect.Effect<Json.JsonObject, Namespaces.CommandFailed>

/** `pilotctl --json` for one state directory, on a host. */
export const on = (host: Namespaces.Host, home: string): Command => {
  const environment = Object.entries(Pilotctl.environment(home)).map(([name, value]) => `${name}=${value}`)
  return (...args) =>
    Effect.map(
      host.run("env", "-i", ...environment, process.execPath, Pilotctl.PROGRAM, "--json", ...args),
      (stdout) => (Json.parseObject(stdout)?.["data"] ?? {}) as Json.JsonObject
    )
}

/** Both trust each other and are connected by a punched hole. */
export const make = Effect.gen(function* () {
  const directory = yield* PilotProcesses.directory
  const world = yield* NatNet.make
  const [here, there] = [yield* world.home("port-restricted"), yield* world.home("port-restricted")]
  const mobile = yield* world.uplink(here.host)
  const [rendezvous, anna, bert] = [
    on(world.net, `${directory}/rendezvous`),
    on(here.host, `${directory}/anna`),
    on(there.host, `${directory}/bert`)
  ]
  const [registry, beacon] = [`${NatNet.RENDEZVOUS[0]}:9000`, `${NatNet.RENDEZVOUS[0]}:9001`]
  const card = yield* rendezvous("rendezvous", "start", "--registry-addr", registry, "--beacon-addr", beacon)
  const pin = ["--registry-fingerprint", Json.string(card, "fingerprint")]
  const start = (pilotctl: Command, name: string) =>
    pilotctl("daemon", "start", "--hostname", name, "--registry", registry, "--beacon", beacon, ...pin)
  yield* Effect.all([start(anna, "anna"), start(bert, "bert")], { concurrency: 2 })
  yield* anna("trust", "add", "bert")
  yield* PilotProcesses.until(Effect.map(bert("pending"), (data) => Json.objects(data, "pending").length === 1))
  yield* bert("approve", "anna")

  /** How anna reaches bert now, after a ping. */
  const kind = Effect.map(anna("why", "bert"), (data) => Json.string(data, "kind"))
  /** Waits for it. */
  const isBy = (wanted: string) => PilotProcesses.until(Effect.map(kind, (now) => now === wanted))

  /** Counts from now on what goes through a box by each way, and lets some of them die there for good after so many bytes. */
  const watched = (box: Namespaces.Host, ends?: { readonly afterBytes: number; readonly of: "direct" | "all" }) =>
    box.run("nft", rules(there.wan, ends))
  /** Bytes that went by those ways since then, both directions. */
  const bytesBy = (box: Namespaces.Host, ways: ReadonlyArray<"direct" | "relay">) =>
    Effect.map(
      Effect.forEach(ways, (way) => box.run("nft", "list", "counter", "ip", "watch", way)),
      (texts) => texts.reduce((sum, text) => sum + Number(/bytes (\d+)/.exec(text)?.[1]), 0)
    )

  return {
    directory,
    anna,
    bert,
    boxes: { home: here.box, mobile: mobile.box },
    isBy,
    watched,
    awaitBytes: (box: Namespaces.Host, ways: ReadonlyArray<"direct" | "relay">, bytes: number) =>
      PilotProcesses.until(Effect.map(bytesBy(box, ways), (count) => count >= bytes)),
    /** Anna's host leaves its network for another one, as a phone does outside the door. */
    goMobile: mobile.take,
    goHome: mobile.leave
  }
})

const rules = (peer: string, ends: { readonly afterBytes: number; readonly of: "direct" | "all" } | undefined) => {
  const ways = { direct: peer, relay: NatNet.RENDEZVOUS[0] }
  const dies = (way: string) => ends !== undefined && (ends.of === "all" || way === "direct")
  const lines = Object.entries(ways).flatMap(([way, host]) =>
    ["saddr", "daddr"].flatMap((side) => [
      ...(dies(way) ? [`ip ${side} ${host} meta l4proto udp quota name "left" drop`] : []),
      `ip ${side} ${host} meta l4proto udp counter name "${way}"`
    ])
  )
  return `
table ip watch
delete table ip watch
table ip watch {
  counter direct {}
  counter relay {}
  quota left { over ${ends?.afterBytes ?? 0} bytes }
  chain forward {
    type filter hook forward priority -10;
    ${lines.join("\n")}
  }
}
`
}
