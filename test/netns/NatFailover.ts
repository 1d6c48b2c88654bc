/** How long a stream is silent when the way under it dies or changes, and what an idle node sends: for the benchmark. */
import { Effect, Fiber } from "effect"
import type * as NatMatrix from "./NatMatrix.ts"
import * as NatNet from "./NatNet.ts"

/** Milliseconds, but for the last. */
export interface Times {
  /** The longest wait for an answer around the death of the direct path. */
  readonly deathMs: number
  /** From the moment that the direct path was possible again until it was used; `undefined` if it was not within a while. */
  readonly returnMs: number | undefined
  /** The longest wait for an answer around a change of the host's network. */
  readonly roamingMs: number
  /** UDP with its headers of IP, both directions, of a node without peers. */
  readonly idleBytesAnHour: number
}

/** Between two homes behind port-restricted translators. */
export const measure = Effect.fnUntraced(function* ({
  side,
  world
}: Pick<Effect.Success<ReturnType<typeof NatMatrix.make>>, "side" | "world">) {
  const [here, there] = [yield* world.home("port-restricted"), yield* world.home("port-restricted")]
  const mobile = yield* world.uplink(here.host)
  const [from, to] = [yield* side("here", here.host), yield* side("there", there.host)]
  const [own, peer] = [yield* from.nodes.take, yield* to.nodes.take]
  yield* Effect.all([from.nodes.open(NAME, own, peer), to.nodes.open(NAME, peer, own)], { concurrency: 2 })

  yield* NatNet.ruled(here.box, IDLE)
  yield* Effect.sleep(IDLE_MS)
  const counted = yield* here.box.run("nft", "list", "counter", "ip", "idle", "seen")
  const idleBytesAnHour = (Number(/bytes (\d+)/.exec(counted)?.[1]) * HOUR_MS) / IDLE_MS

  const pulse = (waitMs: number, happens: Effect.Effect<unknown, unknown>) =>
    Effect.gen(function* () {
      const pulsing = yield* Effect.forkChild(from.nodes.pulse(NAME, peer.address, waitMs))
      yield* Effect.sleep(SETTLED_MS)
      yield* happens
      return yield* Fiber.join(pulsing)
    })
  let healedAtMs = 0
  const death = yield* pulse(
    DEATH_MS,
    Effect.gen(function* () {
      yield* NatNet.ruled(here.box, cut(there.wan))
      yield* Effect.sleep(DEAD_MS)
      yield* NatNet.ruled(here.box, "delete table ip cut")
      healedAtMs = Date.now()
    })
  )
  const back = death.changes.find(({ atMs, path }) => path === "direct" && atMs > healedAtMs)
  const roaming = yield* pulse(ROAMING_MS, mobile.take)
  return {
    deathMs: death.silentMs,
    returnMs: back === undefined ? undefined : back.atMs - healedAtMs,
    roamingMs: roaming.silentMs,
    idleBytesAnHour
  } satisfies Times
})

const cut = (peer: string) => `table ip cut {
  chain forward {
    type filter hook forward priority -10;
    ip saddr ${peer} meta l4proto udp drop
    ip daddr ${peer} meta l4proto udp drop
  }
}`

const IDLE = `table ip idle {
  counter seen {}
  chain forward {
    type filter hook forward priority -20;
    meta l4proto udp counter name "seen"
  }
}`

const NAME = "failover"
const HOUR_MS = 3_600_000
/** Two heartbeats. */
const IDLE_MS = 60_000
/** The way is direct before something happens. */
const SETTLED_MS = 3_000
const DEAD_MS = 3_000
const DEATH_MS = 20_000
const ROAMING_MS = 8_000
