import { expect, test } from 'vitest';
import { inOrderOfPreference, type VideoCodec } from './codec_preference';

const offered = [
  { mimeType: 'video/VP8' },
  { mimeType: 'video/rtx' },
  { mimeType: 'video/VP9', sdpFmtpLine: 'profile-id=0' },
  { mimeType: 'video/H264', sdpFmtpLine: 'level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f' },
  { mimeType: 'video/H264', sdpFmtpLine: 'level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f' },
  { mimeType: 'video/H264', sdpFmtpLine: 'level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f' },
  { mimeType: 'video/AV1' },
];

test.each<[VideoCodec, string[]]>([
  ['VP8', ['VP8', '1/42e01f', '1/42001f', '0/42e01f', 'rtx']],
  ['H264', ['1/42e01f', '1/42001f', '0/42e01f', 'VP8', 'rtx']],
])('%s is offered first, nothing that nobody takes is offered', (wanted, expected) => {
  const names = inOrderOfPreference(offered, wanted).map(({ mimeType, sdpFmtpLine }) => {
    const h264 = /packetization-mode=(\d).*profile-level-id=(\w+)/.exec(sdpFmtpLine ?? '');
    return h264 ? `${h264[1]}/${h264[2]}` : mimeType.replace('video/', '');
  });
  expect(names).toEqual(expected);
});
