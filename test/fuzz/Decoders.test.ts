import * as Suite from "./Suite.ts"
import * as Targets from "./Targets.ts"

Suite.run("every decoder takes any bytes, and writes what it reads", Targets.decoders, 0.72)
