/** `netcheck`: what this host's network does to the tunnels of a node. */
import { Effect } from "effect"
import * as AddressScope from "../../core/data/AddressScope.ts"
import type * as Json from "../../core/data/Json.ts"
import * as NodeInterfaceMtu from "../../core/net/NodeInterfaceMtu.ts"
import * as CliError from "../CliError.ts"
import { CliHost } from "../CliHost.ts"
import { type Command, type Environment, type Output, output } from "../Command.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as DaemonConfig from "../daemon/daemonConfig.ts"
import * as NetcheckText from "./NetcheckText.ts"

const netcheck: Command = {
  name: "netcheck",
  usage: "",
  summary:
    "What this network does to tunnels: translator, families, proxies, beacons; asks the daemon, or looks by itself",
  returns:
    "daemon, udp, nat, translated, mapping, filtering, hairpin, ports, local, mapped, lifetime [alive_ms, gone_ms], " +
    "beacons [endpoint, rtt_ms, probes], families [ipv4, ipv6], proxies, beacon_route, port_mapping [protocol, external], " +
    "port_map_detail, clock_skew_seconds, advice",
  flags: [
    { name: "beacon", value: "address", summary: "the beacon to ask when no daemon runs (default as the daemon's)" },
    { name: "config", value: "path", summary: "JSON file whose keys are flags of daemon start, when no daemon runs" }
  ],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const { variables } = yield* CliHost
    const found: Json.JsonObject = yield* Effect.catch(
      Effect.map(
        DaemonClient.once("netcheck", (client) => client.extension("netcheck", {})),
        (reply): Json.JsonObject => ({ daemon: true, ...reply })
      ),
      (error) => (error.code === "not_running" ? Effect.flatMap(DaemonConfig.load(input), alone) : Effect.fail(error))
    )
    const data = { ...found, families: families(NodeInterfaceMtu.addresses()), proxies: proxies(variables) }
    const whole = { ...data, advice: NetcheckText.advice(data) }
    return output(whole, NetcheckText.netcheck(whole))
  })
}

/** The rows of this group. */
export const commands: ReadonlyArray<Command> = [netcheck]

/** A node is a lot to load, and only part of it is needed here. */
const alone = (config: Effect.Success<ReturnType<typeof DaemonConfig.load>>) =>
  Effect.gen(function* () {
    const [NatAlone, NatReply] = yield* Effect.promise(() =>
      Promise.all([import("../../actors/layers/NatAlone.ts"), import("../../actors/ipc/NatReply.ts")])
    )
    const knowledge = yield* Effect.mapError(NatAlone.look(config), (error) =>
      CliError.make("connection_failed", `cannot look: ${error.detail}`)
    )
    return { daemon: false, ...NatReply.make(knowledge) }
  })

/** Whether an interface has an address that is good beyond its link. */
const families = (addresses: ReadonlyArray<string>) => ({
  ipv4: addresses.some((host) => !host.includes(":") && AddressScope.isUsable(host)),
  ipv6: addresses.some((host) => host.includes(":") && AddressScope.isUsable(host))
})

/** As the environment says, without passwords. */
const proxies = (variables: Readonly<Record<string, string | undefined>>): Json.JsonObject =>
  Object.fromEntries(
    PROXIES.flatMap((name) => {
      const value = variables[name] ?? variables[name.toLowerCase()]
      return value === undefined || value === "" ? [] : [[name, withoutSecrets(value)]]
    })
  )

const withoutSecrets = (proxy: string): string => proxy.replace(/\/\/[^@/]*@/, "//")

const PROXIES = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "PILOT_PROXY"]
