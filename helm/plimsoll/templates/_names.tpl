{{- define "plimsoll.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* The beginning of all names. 40 characters: names of pods and revisions are made from it, and have to fit into labels of 63. */}}
{{- define "plimsoll.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "plimsoll.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "plimsoll.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Name of a component's objects; with all roles in one pod there is one component, and it has no name of its own. Takes root and component. */}}
{{- define "plimsoll.componentName" -}}
{{- $full := include "plimsoll.fullname" .root -}}
{{- if eq .component "all" }}{{ $full }}{{ else }}{{ printf "%s-%s" $full .component }}{{ end -}}
{{- end -}}

{{- define "plimsoll.headlessName" -}}
{{ include "plimsoll.componentName" . }}-headless
{{- end -}}

{{- define "plimsoll.releaseLabels" -}}
app.kubernetes.io/name: {{ include "plimsoll.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* What selects a component's pods. Takes root and component. */}}
{{- define "plimsoll.selector" -}}
{{ include "plimsoll.releaseLabels" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels of an object. Takes root, and component if it belongs to one. */}}
{{- define "plimsoll.labels" -}}
{{ include "plimsoll.releaseLabels" .root }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "plimsoll.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "plimsoll.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* An image by digest if there is one, else by tag. Takes image and default tag. */}}
{{- define "plimsoll.image" -}}
{{- $name := .image.repository -}}
{{- with .image.registry }}{{ $name = printf "%s/%s" . $name }}{{ end -}}
{{- if .image.digest -}}
{{ printf "%s@%s" $name .image.digest }}
{{- else -}}
{{ printf "%s:%s" $name (default .tag .image.tag) }}
{{- end -}}
{{- end -}}

{{/* The components of the mode, separated by commas. */}}
{{- define "plimsoll.components" -}}
{{- if eq .Values.mode "single" -}}
all
{{- else -}}
coordinator,ingester,distributor,querier,compactor{{ if .Values.ruler.enabled }},ruler{{ end }}
{{- end -}}
{{- end -}}

{{/* The values of a component. Takes root and component; gives YAML. */}}
{{- define "plimsoll.componentValues" -}}
{{- if eq .component "all" }}{{ toYaml .root.Values.single }}{{ else }}{{ toYaml (index .root.Values .component) }}{{ end -}}
{{- end -}}
