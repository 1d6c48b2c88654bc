import * as Suite from "./Suite.ts"
import * as Targets from "./Targets.ts"

Suite.run("whole streams, tunnels and registries survive changed traffic", Targets.sessions, 0.24)
