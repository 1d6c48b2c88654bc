/**
 * One node over several memberships: what is dialled goes where its id is met, what is bound is bound everywhere, and the
 * status is that of all. Ids outside are local ones (`LocalNode`).
 */
import { Effect, type Scope } from "effect"
import * as Address from "../../protocol/wire/Address.ts"
import { DialError, type HeldDatagrams, type Node, type NodeStatus, PingTimeout, type PortInUse } from "../node/Node.ts"
import { named } from "./OutsideConnection.ts"
import type { Member, Roster, Upright } from "./Roster.ts"

/** The ports of the whole node. */
export interface Doors {
  readonly listen: Node["Service"]["listen"]
  readonly datagrams: {
    readonly all: Node["Service"]["datagrams"]
    readonly hold: (
      wanted: Address.Port | undefined,
      capacity: number
    ) => Effect.Effect<Omit<HeldDatagrams, "send">, PortInUse, Scope.Scope>
  }
}

/** The service. `absent` is what is told of a node that is registered nowhere yet. */
export const make = (roster: Roster, doors: Doors, absent: () => NodeStatus): Node["Service"] => {
  /** The member's node and the address as its registry knows it. */
  const reach = (target: Address.Address): Effect.Effect<Reached, DialError> => {
    const member = roster.of(target.node)
    if (member?.up === undefined) return unreachable(target, member)
    const node = roster.inside(member, target.node)
    return Effect.succeed({ node: member.up.node, inner: node === target.node ? target : { ...target, node } })
  }
  const renamed =
    (target: Address.Address) =>
    (error: DialError): DialError =>
      new DialError({ reason: error.reason, target: Address.format(target), detail: error.detail })

  const sendDatagram: Node["Service"]["sendDatagram"] = (target, port, payload, from) =>
    Effect.flatMap(reach(target), ({ inner, node }) =>
      Effect.mapError(node.sendDatagram(inner, port, payload, from), renamed(target))
    )

  return {
    address: Effect.suspend(() => Effect.map(statusOf(roster, absent), ({ address }) => address)),
    status: Effect.suspend(() =>
      Effect.flatMap(statusOf(roster, absent), (first) =>
        Effect.map(
          Effect.forEach(roster.up(), (member) => Effect.map(member.up.node.status, outside(roster, member))),
          (statuses) => merged(first, statuses)
        )
      )
    ),
    nat: Effect.suspend(
      () => roster.up()[0]?.up.node.nat ?? Effect.succeed({ report: undefined, lifetime: undefined })
    ),
    peer: (local) =>
      Effect.suspend(() => {
        const member = roster.of(local)
        if (member?.up === undefined) return Effect.succeed(undefined)
        return Effect.map(member.up.node.peer(roster.inside(member, local)), (peer) =>
          peer === undefined ? undefined : { ...peer, node: local }
        )
      }),
    dial: (target, port, options) =>
      Effect.flatMap(reach(target), ({ inner, node }) =>
        inner === target
          ? node.dial(target, port, options)
          : node
              .dial(inner, port, options)
              .pipe(
                Effect.mapBoth({ onFailure: renamed(target), onSuccess: (connection) => named(connection, target) })
              )
      ),
    listen: (port) => doors.listen(port),
    sendDatagram,
    datagrams: (capacity) => doors.datagrams.all(capacity),
    holdDatagrams: (wanted, capacity) =>
      Effect.map(doors.datagrams.hold(wanted, capacity), (held) => ({
        ...held,
        send: (target, port, payload) => sendDatagram(target, port, payload, held.port)
      })),
    ping: (target, timeoutMs) =>
      Effect.flatMap(reach(target), ({ inner, node }) =>
        Effect.mapError(node.ping(inner, timeoutMs), (error) =>
          error._tag === "PingTimeout" ? new PingTimeout({ target: Address.format(target) }) : renamed(target)(error)
        )
      ),
    closeConnection: (id) => each(roster, ({ up }) => up.node.closeConnection(id)),
    dropPeer: (local) =>
      Effect.suspend(() => {
        const member = roster.of(local)
        return member?.up?.node.dropPeer(roster.inside(member, local)) ?? Effect.void
      }),
    setHostname: (name) =>
      each(roster, (member) => (hasOwnName(member) ? Effect.void : member.up.node.setHostname(name))),
    setPublic: (isPublic) => each(roster, ({ up }) => up.node.setPublic(isPublic))
  }
}

/** It was joined under a name of its own, which stays. */
export const hasOwnName = ({ card }: Member): boolean => card.hostname !== undefined

interface Reached {
  readonly node: Node["Service"]
  readonly inner: Address.Address
}

const each = (roster: Roster, use: (member: Upright) => Effect.Effect<void>): Effect.Effect<void> =>
  Effect.suspend(() => Effect.forEach(roster.up(), use, { discard: true }))

/** Of the membership that speaks for the node: home, or the first that is registered. */
const statusOf = (roster: Roster, absent: () => NodeStatus): Effect.Effect<NodeStatus> => {
  const [first] = roster.up()
  return first === undefined ? Effect.sync(absent) : Effect.map(first.up.node.status, outside(roster, first))
}

const outside =
  (roster: Roster, member: Upright) =>
  (status: NodeStatus): NodeStatus => ({
    ...status,
    address: roster.outsideAddress(member, status.address) ?? status.address,
    hostname: roster.outsideName(member, status.hostname),
    refusedKeys: status.refusedKeys.map((row) => ({ ...row, node: roster.outside(member, row.node) ?? row.node })),
    peers: status.peers.map((peer) => ({ ...peer, node: roster.outside(member, peer.node) ?? peer.node })),
    connections: status.connections.map((row) => ({
      ...row,
      remote: roster.outsideAddress(member, row.remote) ?? row.remote
    }))
  })

const merged = (first: NodeStatus, all: ReadonlyArray<NodeStatus>): NodeStatus => {
  if (all.length < 2) return all[0] ?? first
  const sum = (of: (status: NodeStatus) => number) => all.reduce((total, status) => total + of(status), 0)
  return {
    ...first,
    startedAtMs: Math.min(...all.map(({ startedAtMs }) => startedAtMs)),
    sentBytes: sum(({ sentBytes }) => sentBytes),
    receivedBytes: sum(({ receivedBytes }) => receivedBytes),
    sentDatagrams: sum(({ sentDatagrams }) => sentDatagrams),
    receivedDatagrams: sum(({ receivedDatagrams }) => receivedDatagrams),
    refusedKeys: all.flatMap(({ refusedKeys }) => refusedKeys),
    peers: all.flatMap(({ peers }) => peers),
    connections: all.flatMap(({ connections }) => connections)
  }
}

const unreachable = (target: Address.Address, member: Member | undefined): Effect.Effect<never, DialError> =>
  Effect.fail(
    new DialError({
      reason: "RegistryUnavailable",
      target: Address.format(target),
      detail:
        member === undefined
          ? "this node is registered nowhere yet"
          : `this node is not registered at the rendezvous ${member.card.alias} yet: ${member.detail}`
    })
  )
