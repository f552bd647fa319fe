{{/*
A StatefulSet. Takes root, component, name, replicas, zone, zoneLabel, topology, ingester, partition (how many pods keep their revision; -1: none does) and own.
Pods start in parallel: the voters of the coordinator need each other to become ready.
*/}}
{{- define "plimsoll.statefulset" -}}
{{- $c := include "plimsoll.componentValues" (dict "root" .root "component" .component) | fromYaml -}}
{{- $own := default dict .own -}}
{{- $pod := merge (dict "stable" true) . -}}
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "plimsoll.labels" . | nindent 4 }}
    {{- with .zoneLabel }}
    plimsoll.io/zone: {{ . | quote }}
    {{- end }}
spec:
  serviceName: {{ include "plimsoll.headlessName" . }}
  replicas: {{ int .replicas }}
  podManagementPolicy: Parallel
  revisionHistoryLimit: {{ int .root.Values.revisionHistoryLimit }}
  {{- if $c.minReadySeconds }}
  minReadySeconds: {{ int $c.minReadySeconds }}
  {{- end }}
  updateStrategy:
    type: RollingUpdate
    {{- if ge (int .partition) 0 }}
    rollingUpdate: {partition: {{ int .partition }}}
    {{- end }}
  persistentVolumeClaimRetentionPolicy:
    whenDeleted: {{ $c.persistence.whenDeleted }}
    whenScaled: {{ $c.persistence.whenScaled }}
  selector:
    matchLabels:
      {{- include "plimsoll.selector" . | nindent 6 }}
      {{- with .zoneLabel }}
      plimsoll.io/zone: {{ . | quote }}
      {{- end }}
  template:
    {{- include "plimsoll.pod" $pod | nindent 4 }}
  volumeClaimTemplates:
    - apiVersion: v1
      kind: PersistentVolumeClaim
      metadata:
        name: data
        labels:
          {{- include "plimsoll.selector" . | nindent 10 }}
        {{- with $c.persistence.annotations }}
        annotations:
          {{- toYaml . | nindent 10 }}
        {{- end }}
      spec:
        accessModes: [ReadWriteOnce]
        {{- with default $c.persistence.storageClass $own.storageClass }}
        storageClassName: {{ . }}
        {{- end }}
        resources:
          requests:
            storage: {{ $c.persistence.size }}
{{- end -}}
