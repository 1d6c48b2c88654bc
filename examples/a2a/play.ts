/** An A2A agent on one node, called by the A2A client from npm on another. */
import { Effect, Layer, Stream } from "effect"
import * as Stage from "../demo/Stage.ts"
import { fact, step } from "../demo/Stage.ts"
import { PORT, warehouse } from "./agent.ts"
import { ask, connect } from "./client.ts"

/** What it shows. */
export const SHOWS = "an A2A agent card on a virtual port, read and called by the A2A client from npm on another node"

/** Played from the beginning to the end; everything that it starts is stopped. */
export const play = Effect.gen(function* () {
  yield* step("a rendezvous and three nodes start; shop and visitor trust warehouse, which lets shop in")
  const stage = yield* Stage.make("effect-pilot-a2a-")
  const [home, shop, visitor] = yield* Effect.all(
    [Stage.node(stage, "warehouse"), Stage.node(stage, "shop"), Stage.node(stage, "visitor")],
    { concurrency: 3 }
  )
  yield* Stage.trust(shop, home, "I buy bolts")
  yield* Stage.trust(visitor, home, "I am curious")
  yield* Layer.build(Layer.provide(warehouse(["shop"]), Stage.beside(home)))

  const url = `http://warehouse.pilot:${PORT}`
  yield* step(`shop reads the card at ${url}, and asks`)
  const asking = Effect.gen(function* () {
    const client = yield* connect(url)
    const { description, name } = yield* Effect.promise(() => client.getAgentCard())
    yield* fact("card", `${name}: ${description}`)
    for (const article of ["bolts", "unicorns"])
      yield* Stream.runForEach(ask(client, article), (event) => fact(article, event))
  })
  yield* Stage.inside(shop, Effect.scoped(asking))

  yield* step("visitor, who is not named, tries the same")
  const refused = Effect.match(connect(url), {
    onFailure: ({ detail }) => `no card: ${detail}`,
    onSuccess: () => "read the card"
  })
  yield* fact("visitor", yield* Stage.inside(visitor, Effect.scoped(refused)))
  yield* step("done: stopping everything that was started")
}).pipe(Effect.scoped)
