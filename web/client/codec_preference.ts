// Which video codecs we offer, and in what order. Only what every receiver and recording of Amphi takes: VP8 and H.264.

export type VideoCodec = 'VP8' | 'H264';

export interface OfferedCodec { readonly mimeType: string; readonly sdpFmtpLine?: string }

/** The wanted codec first, then the other one, then retransmission. Within H.264: constrained baseline in mode 1 first. */
export function inOrderOfPreference<Codec extends OfferedCodec>(codecs: readonly Codec[], wanted: VideoCodec): Codec[] {
  const rank = ({ mimeType, sdpFmtpLine }: OfferedCodec): number => {
    const name = mimeType.toLowerCase();
    if (name === 'video/rtx') return 100;
    if (name === 'video/vp8') return wanted === 'VP8' ? 0 : 10;
    if (name !== 'video/h264') return Infinity;
    const parameters = (sdpFmtpLine ?? '').toLowerCase();
    const odd = (parameters.includes('profile-level-id=42e0') ? 0 : 1) + (parameters.includes('packetization-mode=1') ? 0 : 2);
    return odd + (wanted === 'H264' ? 0 : 10);
  };
  return codecs.filter((codec) => rank(codec) < Infinity)
    .map((codec, index) => ({ codec, index }))
    .sort((a, b) => rank(a.codec) - rank(b.codec) || a.index - b.index)
    .map(({ codec }) => codec);
}
