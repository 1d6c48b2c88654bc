import * as MixedSuite from "./MixedSuite.ts"

// A file of its own, so that two cores share the seeds.
MixedSuite.play("second", 1)
