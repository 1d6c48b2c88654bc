/** What `gateway start` is told: flags and words become doors, before anything is opened. */
import { Effect, type Result } from "effect"
import * as Endpoint from "../../core/data/Endpoint.ts"
import * as Mapping from "../../protocol/gateway/Mapping.ts"
import * as Subnet from "../../protocol/gateway/Subnet.ts"
import * as CliError from "../CliError.ts"
import { CliHost } from "../CliHost.ts"
import type { Input } from "../Command.ts"
import * as Values from "../Values.ts"

/** A gateway before it runs. */
export interface GatewayPlan {
  readonly subnet: Subnet.Subnet
  /** The ports of each peer that has an address of its own. */
  readonly ports: ReadonlyArray<number>
  /** The owner named them, so each must work. */
  readonly arePortsNamed: boolean
  readonly peers: ReadonlyArray<string>
  readonly maps: ReadonlyArray<Mapping.Mapping>
  /** Virtual ports that lead here. */
  readonly selfPorts: ReadonlyArray<number>
  /** The same of datagrams: of this node with `self`, of the one peer on localhost without. */
  readonly udpPorts: ReadonlyArray<number>
  readonly isSelf: boolean
  readonly isHttp: boolean
  /** Peers that may come in; none named: all that are trusted. */
  readonly allow: ReadonlyArray<string>
  readonly proxy: Endpoint.Endpoint | undefined
  readonly hasToken: boolean
}

/** The plan, or what is wrong with the words. */
export const read = Effect.fnUntraced(function* (
  input: Input
): Effect.fn.Return<GatewayPlan, CliError.CliError, CliHost> {
  const { effectiveUid } = yield* CliHost
  const named = Values.text(input, "ports")
  const ports = named === undefined ? DEFAULT_PORTS : yield* portsOf(named)
  const namedUdp = Values.text(input, "udp")
  const udpPorts = namedUdp === undefined ? [] : yield* portsOf(namedUdp, "udp")
  const isSelf = input.positionals.includes(SELF)
  if (isSelf && named === undefined && namedUdp === undefined) {
    return yield* CliError.invalidArgument("--ports is required with self", SELF_HINT)
  }
  // Narrowing what is not there would be taken for narrowing what is.
  const lonely = isSelf ? undefined : ["allow", "http"].find((flag) => input.flags.has(flag))
  if (lonely !== undefined) return yield* CliError.invalidArgument(`--${lonely} goes with self`, SELF_HINT)
  const subnetText = Values.text(input, "subnet") ?? (effectiveUid === 0 ? ROOT_SUBNET : LOOPBACK_SUBNET)
  const subnet = yield* refused(Subnet.parse(subnetText), (reason) => `create gateway: ${reason}`)
  const maps = yield* Effect.forEach(Values.texts(input, "map"), (text) =>
    refused(Mapping.parse(text), (reason) => reason)
  )
  const proxyText = Values.text(input, "proxy")
  const proxy = proxyText === undefined ? undefined : Endpoint.parse(proxyText)
  if (proxyText !== undefined && proxy === undefined) {
    return yield* CliError.invalidArgument(`invalid --proxy ${JSON.stringify(proxyText)}`, "127.0.0.1:1080")
  }
  const isRemote = [...maps.map(({ listen }) => listen), ...(proxy === undefined ? [] : [proxy])].find(
    ({ host }) => !LOOPBACK.test(host)
  )
  if (isRemote !== undefined && Values.boolean(input, "allow-remote") !== true) {
    return yield* CliError.invalidArgument(
      `${isRemote.host} can be reached from other machines, which would act as this node`,
      "use 127.0.0.1, or --allow-remote if that is wanted"
    )
  }
  const peers = input.positionals.filter((word) => word !== SELF)
  if (udpPorts.length > 0 && !isSelf && peers.length !== 1) {
    return yield* CliError.invalidArgument(
      "--udp goes with self or with one peer",
      "pilotctl gateway start --udp 5353 self, or for several peers --map udp:127.0.0.1:15353=mcp-host:5353"
    )
  }
  if (!isSelf && peers.length === 0 && maps.length === 0 && proxy === undefined && named !== undefined) {
    return yield* CliError.invalidArgument(
      "--ports leads nowhere without a peer or self",
      "pilotctl gateway start --ports 8080 mcp-host"
    )
  }
  return {
    ...{ subnet, ports, peers, maps, proxy },
    arePortsNamed: named !== undefined,
    selfPorts: isSelf && named !== undefined ? ports : [],
    ...{ udpPorts, isSelf },
    isHttp: Values.boolean(input, "http") === true,
    allow: Values.texts(input, "allow"),
    hasToken: Values.boolean(input, "no-token") !== true
  }
})

const portsOf = (text: string, flag = "ports"): Effect.Effect<ReadonlyArray<number>, CliError.CliError> =>
  Effect.forEach(text.split(","), (word) => Effect.fromResult(Values.port(word.trim()))).pipe(
    Effect.map((ports) => [...new Set(ports)]),
    Effect.filterOrFail(
      (ports) => ports.length <= PORTS_MAX && !ports.includes(0),
      () =>
        CliError.invalidArgument(`invalid --${flag} ${JSON.stringify(text)}`, `1 to ${PORTS_MAX} ports from 1: 80,8080`)
    )
  )

const refused = <A>(
  result: Result.Result<A, string>,
  say: (reason: string) => string
): Effect.Effect<A, CliError.CliError> =>
  Effect.mapError(Effect.fromResult(result), (reason) => CliError.invalidArgument(say(reason)))

const SELF = "self"
const SELF_HINT = "pilotctl gateway start --ports 8080 self"
/** Those of the reference (node §7). */
const DEFAULT_PORTS = [80, 443, 1000, 1001, 1002, 7, 8080, 8443]
const ROOT_SUBNET = "10.4.0.0/16"
/** Needs neither root nor an address on an interface. */
const LOOPBACK_SUBNET = "127.44.0.0/16"
const PORTS_MAX = 64
const LOOPBACK = /^(127\.|::1$)/
