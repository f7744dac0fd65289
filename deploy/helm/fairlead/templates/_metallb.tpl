{{/*
Values of MetalLB's chart that mean nothing here, with the reason. The image of another program is refused: it would be run as this one.
*/}}
{{- define "fairlead.withoutEffect" -}}
frrk8s: BGP and BFD are spoken by the agent itself; no FRR is needed
tls: metrics are served without TLS
speaker.frr: BGP and BFD are spoken by the agent itself; no FRR is needed
speaker.frrMetrics: the agent's own metrics have the same names
speaker.reloader: there is no FRR whose configuration would be reloaded
speaker.bgpDebounceTimeout: there is no FRR whose configuration would be reloaded
speaker.wanConfig: how fast a silent node is noticed is not configurable
speaker.initContainers: none are needed
speaker.pprof: there is no such profiler
speaker.memberlist.enabled: agents always probe each other
speaker.memberlist.mlBindAddrOverride: agents probe by the InternalIP of the Nodes
speaker.memberlist.mlSecretKeyPath: speaker.secretName names the Secret
controller.webhookHTTP2: the webhook speaks HTTP/1.1
controller.tlsMinVersion: the webhook asks for TLS 1.2 or later
controller.tlsCipherSuites: those of Node.js
controller.pprof: there is no such profiler
controller.terminationGracePeriodSeconds: ten seconds, in which the Lease is given back
prometheus.rbacProxy: metrics are served without TLS
prometheus.secureMetricsPort: metrics are served without TLS
prometheus.metricsTLSSecret: metrics are served without TLS
prometheus.speakerMetricsTLSSecret: metrics are served without TLS
prometheus.controllerMetricsTLSSecret: metrics are served without TLS
{{- end }}

{{/* The value at a path, as JSON; nothing where there is none. */}}
{{- define "fairlead.valueAt" -}}
{{- $at := .values -}}
{{- range splitList "." .path -}}
{{- $at = kindIs "map" $at | ternary (get (default dict $at) .) "" -}}
{{- end -}}
{{- if not (kindIs "string" $at | and (eq (toString $at) "")) }}{{ toJson $at }}{{ end -}}
{{- end }}

{{- define "fairlead.refuseForeignImages" -}}
{{- range $program := list "controller" "speaker" -}}
{{- if (index $.Values $program).image -}}
{{- fail (printf "%s.image is a value of MetalLB's chart, where it names MetalLB's image: set image.repository and image.tag, for both programs" $program) -}}
{{- end -}}
{{- end -}}
{{- end }}
