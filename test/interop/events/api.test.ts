import { Pilot } from "effect-pilot"
import * as EventsSuite from "../../support/EventsSuite.ts"

EventsSuite.run({
  name: "Events with Pilot.layerDaemon",
  isOwnNode: false,
  open: (_, { home }) => Pilot.layerDaemon({ home })
})

EventsSuite.run({
  name: "Events with Pilot.layer",
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
