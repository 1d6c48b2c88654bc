/** What a running gateway has: its doors, the addresses it gave to peers, and what it says of them. */
import { Effect, Exit, Result, Scope, Semaphore } from "effect"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import type { Door, OpenDoor, SelfDoor, UdpSelfDoor } from "../../actors/gateway/Door.ts"
import * as Gateway from "../../actors/gateway/Gateway.ts"
import type { Mapping } from "../../actors/gateway/GatewayControl.ts"
import * as Provided from "../../core/actor/Provided.ts"
import type { Crypto } from "../../core/crypto/Crypto.ts"
import * as Endpoint from "../../core/data/Endpoint.ts"
import * as Json from "../../core/data/Json.ts"
import type { HttpRelay } from "../../core/net/HttpRelay.ts"
import type { Tcp, TcpError } from "../../core/net/Tcp.ts"
import type { UdpEndpoint } from "../../core/net/UdpEndpoint.ts"
import * as Subnet from "../../protocol/gateway/Subnet.ts"
import * as Address from "../../protocol/wire/Address.ts"
import * as CliError from "../CliError.ts"
import type { Environment } from "../Command.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as LocalToken from "../LocalToken.ts"
import * as GatewayNode from "./GatewayNode.ts"
import type { GatewayPlan } from "./GatewayPlan.ts"
import * as LoopbackAlias from "./LoopbackAlias.ts"

/** Everything that the command which started it, and later ones, may ask. */
export interface GatewayOffice {
  readonly subnet: string
  readonly mappings: () => ReadonlyArray<Mapping>
  /** What it leads to, a line each, for people. */
  readonly lines: () => ReadonlyArray<string>
  /** Gives a peer an address, or tells the one that it has. */
  readonly map: (peer: string, ip?: string) => Effect.Effect<Mapped, CliError.CliError>
  readonly unmap: (ip: string) => Effect.Effect<void, CliError.CliError>
}

/** A peer with an address of this host. */
export interface Mapped {
  readonly peer: string
  readonly pilotAddress: string
  readonly ip: string
  readonly ports: ReadonlyArray<number>
}

/** What opening the doors needs. */
export type Services = Environment | Tcp | HttpRelay | UdpEndpoint | Crypto | ChildProcessSpawner

/** Opens the doors of the plan. Whoever named a port wants it, so one that is taken ends the command. */
export const open = Effect.fnUntraced(function* (
  plan: GatewayPlan,
  platform: string
): Effect.fn.Return<GatewayOffice, CliError.CliError, Services> {
  const context = yield* Provided.services<Services>()
  const parent = yield* Effect.scope
  const gateway = yield* Gateway.make(yield* GatewayNode.make)
  const mapped = new Map<string, Mapped & { readonly scope: Scope.Closeable }>()
  const lines: Array<string> = []
  const changing = yield* Semaphore.make(1)
  let subnet = plan.subnet

  const openNamed = (id: string, door: Door, hint?: string) =>
    Effect.mapError(gateway.open(id, door), (error) => cannotListen(error, door, hint))

  const map = Effect.fnUntraced(function* (peer: string, wanted?: string) {
    const pilotAddress = yield* addressOf(peer)
    const existing = [...mapped.values()].find((other) => other.pilotAddress === pilotAddress)
    if (existing !== undefined) return existing
    const ip = yield* Effect.mapError(addressFor(wanted), (reason) => CliError.invalidArgument(reason))
    const scope = yield* Scope.fork(parent)
    yield* Scope.provide(LoopbackAlias.hold(ip, platform), scope)
    const ports = yield* Effect.filter(plan.ports, (port) =>
      Effect.matchEffect(gateway.open(idOf(ip, port), { _tag: "Peer", listen: { host: ip, port }, peer, port }), {
        onFailure: (error) => {
          const failed = cannotListen(error, { _tag: "Peer", listen: { host: ip, port }, peer, port })
          return plan.arePortsNamed
            ? Effect.fail(failed)
            : Effect.as(Effect.logWarning(`gateway: ${failed.message}`), false)
        },
        onSuccess: () => Effect.succeed(true)
      })
    ).pipe(
      Effect.onError(() =>
        Effect.andThen(
          Effect.forEach(plan.ports, (port) => gateway.close(idOf(ip, port))),
          Scope.close(scope, Exit.void)
        )
      )
    )
    const row = { peer, pilotAddress, ip, ports, scope }
    mapped.set(ip, row)
    return row
  })
  /** The address that is asked for, or the next free one; then it is taken. */
  const addressFor = (wanted: string | undefined): Effect.Effect<string, string> =>
    Effect.suspend(() => {
      if (wanted === undefined) {
        return Effect.map(Effect.fromResult(Subnet.allocate(subnet, (ip) => mapped.has(ip))), ([ip, rest]) => {
          subnet = rest
          return ip
        })
      }
      if (!Subnet.contains(subnet, wanted)) return Effect.fail(`IP ${wanted} not in subnet ${Subnet.format(subnet)}`)
      return mapped.has(wanted) ? Effect.fail(`IP ${wanted} already mapped`) : Effect.succeed(wanted)
    })
  const unmap = Effect.fnUntraced(function* (ip: string) {
    const row = mapped.get(ip)
    if (row === undefined) return yield* CliError.make("not_found", `no mapping for ${ip}`)
    mapped.delete(ip)
    yield* Effect.forEach(row.ports, (port) => gateway.close(idOf(ip, port)))
    yield* Scope.close(row.scope, Exit.void)
  })

  const openSelf = Effect.fnUntraced(function* () {
    if (!plan.isSelf) return
    const own = yield* DaemonClient.once("gateway", (client) => client.info)
    const allow = yield* Effect.forEach(plan.allow, (peer) => Effect.map(addressOf(peer), nodeOf))
    const allowed = allow.length === 0 ? undefined : new Set(allow)
    const open = Effect.fnUntraced(function* (door: SelfDoor | UdpSelfDoor, name: string) {
      yield* openNamed(`self:${name}`, door)
      lines.push(`✓ gateway running · ${name} → ${Json.string(own, "address")}`)
    })
    for (const port of plan.selfPorts) {
      const to = { host: "127.0.0.1", port }
      yield* open({ _tag: "Self", to, port, isHttp: plan.isHttp, allow: allowed }, `port ${port}`)
    }
    for (const port of plan.udpPorts) {
      yield* open({ _tag: "UdpSelf", to: { host: "127.0.0.1", port }, port, allow: allowed }, `UDP port ${port}`)
    }
    lines.push(plan.allow.length === 0 ? "  open to all trusted peers" : `  open to ${plan.allow.join(", ")}`)
  })
  const openProxy = Effect.fnUntraced(function* (listen: Endpoint.Endpoint) {
    const kept = plan.hasToken ? yield* LocalToken.keep("gateway.token") : undefined
    const local = yield* openNamed(
      "proxy",
      { _tag: "Proxy", listen, token: kept?.token },
      "choose another port with --proxy"
    )
    lines.push(`✓ proxy for *.pilot at ${Endpoint.format(local ?? listen)} (SOCKS5 and HTTP)`)
    lines.push(
      kept === undefined ? "  no token is needed" : `  any user, and as its password the token in ${kept.path}`
    )
  })

  yield* openSelf()
  for (const peer of plan.peers) {
    const { ip, pilotAddress, ports } = yield* map(peer)
    lines.push(`mapped ${ip} → ${pilotAddress}`)
    if (plan.peers.length > 1) continue
    for (const port of ports) {
      // Somebody may have that port; the peer's own address leads there anyway.
      const listen = { host: "127.0.0.1", port }
      const opened = yield* Effect.result(gateway.open(`localhost:${port}`, { _tag: "Peer", listen, peer, port }))
      if (Result.isSuccess(opened)) lines.push(`✓ localhost:${port} → ${peer} (encrypted)`)
    }
  }
  const onLocalhost = plan.isSelf ? [] : plan.udpPorts
  const udpMaps = onLocalhost.flatMap((port) =>
    plan.peers.map((peer) => ({ listen: { host: "127.0.0.1", port }, peer, port, isUdp: true }))
  )
  for (const { isUdp, listen, peer, port } of [...plan.maps, ...udpMaps]) {
    const id = `map:${isUdp ? "udp:" : ""}${Endpoint.format(listen)}`
    const local = yield* openNamed(id, { _tag: isUdp ? "UdpPeer" : "Peer", listen, peer, port })
    lines.push(`✓ ${isUdp ? "UDP " : ""}${Endpoint.format(local ?? listen)} → ${peer}:${port} (encrypted)`)
  }
  if (plan.proxy !== undefined) yield* openProxy(plan.proxy)
  return {
    subnet: Subnet.format(subnet),
    lines: () => lines,
    mappings: () => [
      ...[...mapped.values()].map((row) => peerRow(row, gateway.doors())),
      ...[...gateway.doors()].flatMap(([id, door]) => (id.startsWith("peer:") ? [] : [doorRow(door)]))
    ],
    map: (peer, ip) => changing.withPermit(Effect.provideContext(map(peer, ip), context)),
    unmap: (ip) => changing.withPermit(unmap(ip))
  }
})

/** Where a name leads now; each connection is dialled by the name again, and refused if another key stands behind it. */
const addressOf = (peer: string): Effect.Effect<string, CliError.CliError, Exclude<Environment, Scope.Scope>> =>
  Effect.scoped(
    Effect.gen(function* () {
      const literal = DaemonClient.parse(peer)
      const client = yield* DaemonClient.connect
      return Address.format(literal ?? (yield* DaemonClient.target(client, { json: true }, peer)))
    })
  )

const nodeOf = (address: string): Address.NodeId =>
  Result.getOrElse(
    Result.map(Address.parse(address), ({ node }) => node),
    () => Address.NodeId(0)
  )

const idOf = (ip: string, port: number): string => `peer:${ip}:${port}`

type Doors = ReadonlyMap<string, OpenDoor>

const peerRow = ({ ip, peer, pilotAddress, ports }: Mapped, doors: Doors): Mapping => {
  const own = ports.flatMap((port) => doors.get(idOf(ip, port)) ?? [])
  const sum = (value: (door: OpenDoor) => number) => own.reduce((total, door) => total + value(door), 0)
  const problem = own.find((door) => door.problem !== undefined)?.problem
  return {
    ...{ local_ip: ip, pilot_addr: pilotAddress, peer, ports },
    open: sum((door) => door.open),
    connections: sum((door) => door.connections),
    refused: sum((door) => door.refused),
    bytes: sum((door) => door.bytes),
    ...(problem === undefined ? {} : { problem })
  }
}

const doorRow = ({ bytes, connections, door, local, open, problem, refused }: OpenDoor): Mapping => ({
  ...placeOf(door, local),
  ...{ open, connections, refused, bytes },
  ...(problem === undefined ? {} : { problem })
})

const placeOf = (door: Door, local: Endpoint.Endpoint | undefined) => {
  switch (door._tag) {
    case "Peer":
      return { local: Endpoint.format(local ?? door.listen), peer: door.peer, overlay_port: door.port }
    case "UdpPeer":
      return { local: Endpoint.format(local ?? door.listen), peer: door.peer, overlay_port: door.port, udp: true }
    case "Self":
      return { local: Endpoint.format(door.to), overlay_port: door.port, self: true }
    case "UdpSelf":
      return { local: Endpoint.format(door.to), overlay_port: door.port, self: true, udp: true }
    case "Proxy":
      return { local: Endpoint.format(local ?? door.listen), proxy: true }
  }
}

const cannotListen = ({ detail, reason }: TcpError, door: Door, hint?: string): CliError.CliError => {
  const place = door._tag === "Self" || door._tag === "UdpSelf" ? String(door.port) : Endpoint.format(door.listen)
  switch (reason) {
    case "PortInUse":
      return CliError.make("already_exists", `${place} is in use`, hint ?? "another program listens there")
    case "PermissionDenied":
      return CliError.make("permission_denied", `cannot listen at ${place}: ${detail}`, "ports below 1024 need root")
    case "AddressNotAvailable":
      return CliError.make(
        "internal",
        `cannot listen at ${place}: ${detail}`,
        "adding addresses to the loopback interface needs root; --subnet 127.44.0.0/16 needs none"
      )
    default:
      return CliError.make("internal", `cannot listen at ${place}: ${detail}`, hint)
  }
}
