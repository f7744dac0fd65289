module fairlead/lab/kubernetes/metallb/definitions

go 1.26.0

// The CRDs that ours are compared with. Apart from the programs, whose version is the last one that can be built.
require go.universe.tf/metallb v0.16.2
