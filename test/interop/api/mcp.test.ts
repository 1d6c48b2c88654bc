import { Pilot } from "effect-pilot"
import * as McpApiSuite from "../../support/McpApiSuite.ts"

McpApiSuite.run({
  name: "Mcp with Pilot.layerDaemon",
  isOwnNode: false,
  open: (_, { home }) => Pilot.layerDaemon({ home })
})

McpApiSuite.run({
  name: "Mcp with Pilot.layer",
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
