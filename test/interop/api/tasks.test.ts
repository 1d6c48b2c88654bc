import { Pilot } from "effect-pilot"
import * as TasksSuite from "../../support/TasksSuite.ts"

TasksSuite.run({
  name: "Tasks with Pilot.layerDaemon",
  isOwnNode: false,
  open: (_, { home }) => Pilot.layerDaemon({ home })
})

TasksSuite.run({
  name: "Tasks with Pilot.layer",
  isOwnNode: true,
  open: ({ card }, { home, name }) =>
    Pilot.layer({
      home,
      hostname: name,
      listen: "127.0.0.1:0",
      registry: card.registry,
      registryFingerprint: card.fingerprint,
      beacon: card.beacon
    })
})
