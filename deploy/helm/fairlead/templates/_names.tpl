{{/* What objects are called: fairlead-controller in a release called fairlead, lb-fairlead-controller in one called lb. */}}
{{- define "fairlead.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "fairlead.fullname" -}}
{{- $name := include "fairlead.name" . -}}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- .Values.fullnameOverride | default $full | trunc 48 | trimSuffix "-" -}}
{{- end }}

{{- define "fairlead.controllerAccount" -}}
{{- .Values.controller.serviceAccount.name | default (printf "%s-controller" (include "fairlead.fullname" .)) -}}
{{- end }}

{{- define "fairlead.agentAccount" -}}
{{- .Values.speaker.serviceAccount.name | default (printf "%s-agent" (include "fairlead.fullname" .)) -}}
{{- end }}

{{/* The Secret with the key of the agents' probes: one that is named, or one that the controllers make. */}}
{{- define "fairlead.membershipSecret" -}}
{{- .Values.speaker.secretName | default (printf "%s-membership" (include "fairlead.fullname" .)) -}}
{{- end }}

{{/* What selects pods: never changes in the life of a release. */}}
{{- define "fairlead.selector" -}}
app.kubernetes.io/name: {{ include "fairlead.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "fairlead.labels" -}}
{{ include "fairlead.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "fairlead.image" -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end }}

{{/* MetalLB's words for levels that are called otherwise here. */}}
{{- define "fairlead.logLevel" -}}
{{- get (dict "all" "trace" "none" "silent") . | default . -}}
{{- end }}

{{/* The fields of a probe but for what it asks. */}}
{{- define "fairlead.probe" -}}
{{ omit . "enabled" | toYaml }}
{{- end }}
