/** What can be done to a simulated network and its nodes while they run. */
import { Duration, Effect } from "effect"
import type { SimKeeper } from "./SimKeeper.ts"
import * as SimLink from "./SimLink.ts"
import * as SimNat from "./SimNat.ts"
import type * as SimNode from "./SimNode.ts"
import * as SimWorld from "./SimWorld.ts"

/** Each happens at once, to everything from then on. */
export interface Disturbances {
  /** Pulls a node's network cable. */
  readonly cut: (node: SimNode.SimNode) => Effect.Effect<void>
  /** Plugs it in again; without a node, ends all cuts and partitions. */
  readonly heal: (node?: SimNode.SimNode) => Effect.Effect<void>
  /** A node's access lets no UDP through, or does again; TCP passes. */
  readonly blockUdp: (node: SimNode.SimNode, isBlocked?: boolean) => Effect.Effect<void>
  /** Nothing passes between the two groups until `heal()`. */
  readonly partition: (
    some: ReadonlyArray<SimNode.SimNode>,
    others: ReadonlyArray<SimNode.SimNode>
  ) => Effect.Effect<void>
  /** Nothing passes from one group to the other until `heal()`; the way back is open. */
  readonly block: (
    senders: ReadonlyArray<SimNode.SimNode>,
    receivers: ReadonlyArray<SimNode.SimNode>
  ) => Effect.Effect<void>
  /** Changes a node's access; datagrams under way are not affected. */
  readonly setLink: (node: SimNode.SimNode, link: SimLink.SimLink) => Effect.Effect<void>
  /** Gives a node a new address, behind other translators if told so. Its open TCP connections are gone. */
  readonly move: (node: SimNode.SimNode, nat?: SimNat.Location) => Effect.Effect<void>
  /** Forgets the mappings of the translator that a node is behind, and gives it a new outside address. */
  readonly renumber: (nat: SimNat.Nat) => Effect.Effect<void>
  /** Sets a node's time of day off. */
  readonly skew: (node: SimNode.SimNode, by: Duration.Input) => Effect.Effect<void>
  /** Makes a node's clock run fast (or slow, if negative) from now on, by parts per million; its timers too. */
  readonly drift: (node: SimNode.SimNode, partsPerMillion: number) => Effect.Effect<void>
  /** The power of a node's machine goes, and with it what was not synced. */
  readonly crash: (node: SimNode.SimNode) => Effect.Effect<void>
  /** A node's process is killed (`kill -9`); a keeper beside it goes on. */
  readonly kill: (node: SimNode.SimNode) => Effect.Effect<void>
  /** A node ends in good order. */
  readonly stop: (node: SimNode.SimNode) => Effect.Effect<void>
  /** Starts a node that does not run, with the disk it had, and its keeper if that does not run and has services. */
  readonly restart: (node: SimNode.SimNode) => Effect.Effect<void, SimNode.StartError>
  /** A node's keeper is killed (`kill -9`); `restart` and `expose` start another. */
  readonly killKeeper: (node: SimNode.SimNode) => Effect.Effect<void>
  /** The servers of a node's keeper are killed, and nothing else. */
  readonly killChildren: (node: SimNode.SimNode) => Effect.Effect<void>
}

/** The parts of a node that can be started and killed one by one. */
export interface Parts {
  readonly start: Effect.Effect<void, SimNode.StartError>
  readonly keeper: SimKeeper
}

/** `link` is that of hosts that say nothing else. */
export const make = (
  world: SimWorld.SimWorld,
  link: SimLink.SimLink,
  parts: (node: SimNode.SimNode) => Parts
): Disturbances => {
  const { network } = world
  const disturb = (what: string, act: () => void) =>
    Effect.sync(() => {
      world.trace.record(what)
      act()
    })
  const inWorld = <A, E>(effect: Effect.Effect<A, E>) => world.driver.run(effect, world.services("disturbance"))
  return {
    cut: ({ machine, name }) =>
      disturb(`cut ${name}`, () => {
        machine.host.isCut = true
      }),
    heal: (node) =>
      disturb(`heal ${node?.name ?? "all"}`, () => {
        if (node === undefined) network.healAll()
        else node.machine.host.isCut = false
      }),
    blockUdp: ({ machine, name }, isBlocked = true) =>
      disturb(`${isBlocked ? "no " : ""}UDP for ${name}`, () => {
        machine.host.isUdpBlocked = isBlocked
      }),
    partition: (some, others) => disturb("partition", () => network.partition(some.map(hostOf), others.map(hostOf))),
    block: (senders, receivers) => disturb("block", () => network.block(senders.map(hostOf), receivers.map(hostOf))),
    setLink: ({ machine, name }, changed) =>
      disturb(`link of ${name}`, () => {
        machine.host.access = SimLink.access({ ...link, ...changed })
      }),
    move: ({ machine, name }, nat) =>
      disturb(`${name} moves`, () => {
        network.move(machine.host, nat === undefined ? machine.host.segment : SimNat.segmentOf(network, nat))
      }),
    renumber: ({ inside }) =>
      disturb("renumber", () => {
        if (inside.gateway !== undefined) network.renumber(inside.gateway)
      }),
    skew: ({ machine, name }, by) =>
      disturb(`skew of ${name}`, () => {
        machine.clock.skewMs = Duration.toMillis(by)
      }),
    drift: ({ machine, name }, partsPerMillion) =>
      disturb(`drift of ${name}`, () => machine.clock.drift(partsPerMillion, world.time.nowMs)),
    crash: ({ machine }) => inWorld(SimWorld.crash(machine)),
    kill: ({ machine }) => inWorld(SimWorld.kill(machine)),
    stop: ({ machine }) => inWorld(SimWorld.shutDown(machine)),
    restart: (node) => parts(node).start,
    killKeeper: (node) => inWorld(parts(node).keeper.kill),
    killChildren: (node) => inWorld(parts(node).keeper.killChildren)
  }
}

const hostOf = ({ machine }: SimNode.SimNode) => machine.host
