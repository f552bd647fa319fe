{{/* A pod of a component, as `template` of its controller. Takes root, component, stable, zone, ingester (whether it runs one), and `own`: what its zone says itself. */}}
{{- define "plimsoll.pod" -}}
{{- $v := .root.Values -}}
{{- $c := include "plimsoll.componentValues" (dict "root" .root "component" .component) | fromYaml -}}
{{- $own := default dict .own -}}
metadata:
  labels:
    {{- include "plimsoll.selector" . | nindent 4 }}
    {{- if .zoneLabel }}
    plimsoll.io/zone: {{ .zoneLabel | quote }}
    {{- end }}
    {{- with $v.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/config: {{ include "plimsoll.config" .root | sha256sum }}
    {{- with mustMergeOverwrite (dict) $v.podAnnotations $c.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "plimsoll.serviceAccountName" .root }}
  automountServiceAccountToken: {{ $v.serviceAccount.automount }}
  # Variables of Services would stand beside the settings, which begin with PLIMSOLL_ too.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ int $c.terminationGracePeriodSeconds }}
  securityContext:
    {{- toYaml $v.podSecurityContext | nindent 4 }}
  {{- with $v.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with $c.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with mustMergeOverwrite (dict) $c.nodeSelector (default dict $own.nodeSelector) }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with default $c.tolerations $own.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with default $c.affinity $own.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if ne $v.spread "none" }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: {{ ternary "DoNotSchedule" "ScheduleAnyway" (eq $v.spread "hard") }}
      labelSelector:
        matchLabels:
          {{- include "plimsoll.selector" . | nindent 10 }}
    - maxSkew: 1
      topologyKey: topology.kubernetes.io/zone
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "plimsoll.selector" . | nindent 10 }}
  {{- end }}
  {{- with $v.extraInitContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: plimsoll
      image: {{ include "plimsoll.image" (dict "image" $v.image "tag" .root.Chart.AppVersion) }}
      imagePullPolicy: {{ $v.image.pullPolicy }}
      args:
        {{- include "plimsoll.args" . | nindent 8 }}
        {{- with concat $v.extraArgs $c.extraArgs }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      env:
        - name: POD_NAME
          valueFrom: {fieldRef: {fieldPath: metadata.name}}
        - name: POD_IP
          valueFrom: {fieldRef: {fieldPath: status.podIP}}
        {{- if .topology }}
        - name: ZONE
          valueFrom: {fieldRef: {fieldPath: "metadata.labels['topology.kubernetes.io/zone']"}}
        {{- end }}
        {{- with concat $v.extraEnv $c.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- if or $v.objectStore.existingSecret $v.extraEnvFrom }}
      envFrom:
        {{- with $v.objectStore.existingSecret }}
        - secretRef: {name: {{ . }}}
        {{- end }}
        {{- with $v.extraEnvFrom }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
      ports:
        - {name: http, containerPort: {{ int $v.ports.http }}, protocol: TCP}
        - {name: grpc, containerPort: {{ int $v.ports.grpc }}, protocol: TCP}
      {{- include "plimsoll.probes" . | nindent 6 }}
      {{- if $v.preStopSleepSeconds }}
      lifecycle:
        preStop:
          sleep: {seconds: {{ int $v.preStopSleepSeconds }}}
      {{- end }}
      resources:
        {{- toYaml $c.resources | nindent 8 }}
      securityContext:
        {{- toYaml $v.securityContext | nindent 8 }}
      volumeMounts:
        {{- include "plimsoll.volumeMounts" .root | nindent 8 }}
    {{- with $v.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    {{- include "plimsoll.volumes" . | nindent 4 }}
{{- end -}}

{{/* A pod that replays its log is alive, however long it takes: what runs an ingester is never killed by a probe. */}}
{{- define "plimsoll.probes" -}}
readinessProbe:
  httpGet: {path: /ready, port: http}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
{{- if not .ingester }}
startupProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 2
  timeoutSeconds: 3
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end }}
{{- end -}}

{{- define "plimsoll.volumeMounts" -}}
- {name: data, mountPath: /data}
- {name: config, mountPath: /etc/plimsoll, readOnly: true}
{{- if .Values.rules }}
- {name: rules, mountPath: /etc/plimsoll-rules, readOnly: true}
{{- end }}
{{- if .Values.limitsOverrides }}
- {name: overrides, mountPath: /etc/plimsoll-overrides, readOnly: true}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Stable pods have their data in a claim; the others keep nothing and get a directory because the root is read-only. */}}
{{- define "plimsoll.volumes" -}}
{{- $full := include "plimsoll.fullname" .root -}}
{{- if not .stable -}}
- name: data
  emptyDir: {sizeLimit: 256Mi}
{{ end -}}
- name: config
  {{- if eq .root.Values.configStorage "Secret" }}
  secret: {secretName: {{ $full }}-config}
  {{- else }}
  configMap: {name: {{ $full }}-config}
  {{- end }}
{{- if .root.Values.rules }}
- name: rules
  configMap: {name: {{ $full }}-rules}
{{- end }}
{{- if .root.Values.limitsOverrides }}
- name: overrides
  configMap: {name: {{ $full }}-overrides}
{{- end }}
{{- with .root.Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
